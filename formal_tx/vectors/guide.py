"""The part of SPECIFICATION.md that is the same for all algorithms."""

GUIDE = """\
# Conformance vectors

These files say what every numbered line of the algorithms of *Formal Algorithms for Transformers* (Phuong & Hutter,
arXiv:2207.09238) gives on a handful of inputs, in double precision. An implementation in any language can certify
itself with them: read a case's inputs and parameters, compute, compare every line and the output.

Written by formal-tx {version} from its executable pseudocode, which is quoted below; format version 1.

## Conventions

* **The layout is the paper's: a column is a token.** `X` is (d, ℓ): row i, column t is feature i of token t. `W_e` is
  (d_e, N_V), `W_p` is (d_e, l_max), `P` is (N_V, ℓ), `Mask` is (ℓ_z, ℓ_x), true where token t_x may attend to token
  t_z. A matrix that multiplies a vector is (d_out, d_in).
* **Everything counts from 0**, token ids and positions too, where the paper counts from 1. So the vocabulary is
  0 … N_V - 1, and its last three are mask_token, bos_token and eos_token.
* Softmax is over the rows of a column: each column sums to one. GELU is the exact one, x Φ(x). Logarithms are natural.
* Layer norm adds the case's `epsilon` to the variance, inside the root. 0 is the paper's own. Variance divides by d_e.
* In the pseudocode `A @ B` is the matrix product, `A.T` the transpose, `b[:, None]` makes a column of `b` that is added
  to every column of a matrix, `A[:, t]` is column t, `[... for t in range(n)]` is a list with an entry for each
  t = 0 … n - 1, `column_stack` makes a matrix of a list of columns, `lambda theta: ...` is a function of θ. A list of
  vectors is stored as a matrix, a column for each. The number at the end of a line is that of the line in the paper.
* Parameters of heads and layers are one set of matrices each, named `layers.0.attention.heads.1.W_q`.
* Random numbers are given as data, so that nobody needs another's generator.

## Reading a file

A safetensors file is 8 bytes, the length n of the header as an unsigned integer; n bytes of JSON, the header; and the
data. Everything is little-endian. The header maps the name of each tensor to

    {"dtype": "F64", "shape": [2, 3], "data_offsets": [begin, end]}

where the offsets are bytes from the end of the header. Data are by rows: entry (i, j) of an (m, n) matrix is number
i n + j. `F64` is an IEEE 754 double, `I64` a signed integer of 8 bytes, `BOOL` a byte that is 0 or 1. A tensor of shape
[] is one number. Values may be -infinity (masked scores) and nan (where the paper divides 0 by 0).

The name of a tensor is `CASE/ROLE/VARIABLE`:

| role | is | for example |
|---|---|---|
| `input` | what the algorithm is called with | `1/input/X` |
| `parameter` | a parameter, by its path | `1/parameter/heads.0.W_q` |
| `line` | what a numbered line assigned, and from the second time on `#2`, `#3`, … | `1/line/8.X#3` |
| `output` | what the algorithm returns | `1/output/P` |

Cases count from 1 in each file. A line that runs once for each head or layer has a tensor for each time. A line without
a tensor assigns nothing. A reader that knows the names needs no index; the index says it all again for a program.

## The index

`index.json` has, for each algorithm, `number`, `name`, `file`, `bytes`, `sha256` and `cases`. A case has its number
`case`, a `title`, `defined` (false where the paper divides 0 by 0: compare nan with nan, or refuse), `scalars` (those
inputs that are numbers: `v`, `t`, `epsilon`, `N_epochs`, `eta`, `p_mask`, `l_gen`, `tau`), `hyperparameters` (sizes and
special tokens), `terms` (the longest sum in it), `tolerance`, and its `tensors`: `name`, `role`, `variable`, `line`,
`iteration`, `dtype` and `shape`.

## Comparing

The error of a tensor is max |found - expected| / max |expected|, both maxima over its finite entries; where all that is
expected is 0 it is max |found|. Where nan or an infinity is expected the same has to be found, and a number where a
number is. Integers (ids, lengths) have to be equal.

`tolerance` is the largest error to accept, for an implementation in `float64` and for one in `float32`. In double
precision 1e-10 is ample for another order of summation, while a wrong scale, a tanh in the GELU or a wrong variance is
1e-6 at least. Algorithms 11 to 13 take 1e-6, because their gradients are differences. In single precision it is
2e-5 √terms, and only says that nothing is badly wrong.

To be called conformant to an algorithm, compare all its cases in double precision: the output, and every line that your
implementation has.

## What the bytes depend on

Sums were taken in the order of the index, one addition after the other, without fused multiply-add; exp, log, erf and
powers were rounded correctly. So one version of formal-tx writes the same bytes on every machine and every day, as long
as NumPy's random streams, from which the inputs are drawn, are what they are. Your own sums may be in any order.
"""
