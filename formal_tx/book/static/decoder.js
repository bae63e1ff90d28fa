// Algorithm 10 once more, in JavaScript and double precision; the numbers are the paper's lines. A matrix is an array of
// rows; a sequence of vectors is an array of vectors, one for each token.

/** IEEE half precision, two bytes each, as numbers. */
function halves(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float64Array.from({ length: bytes.length / 2 }, (_, i) => {
    const bits = view.getUint16(2 * i, true);
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
  });
}

/** The arrays of a packed model by path: vectors, and matrices as arrays of rows. */
function unpack(data) {
  const numbers = halves(data.weights);
  const theta = {};
  let at = 0;
  for (const { name, shape } of data.arrays) {
    const [rows, columns] = shape;
    if (shape.length === 1) theta[name] = numbers.subarray(at, (at += rows));
    else theta[name] = Array.from({ length: rows }, () => numbers.subarray(at, (at += columns)));
  }
  return theta;
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const plus = (a, b) => a.map((value, i) => value + b[i]);
const affine = (W, x, b) => Float64Array.from(W, (row, i) => dot(row, x) + b[i]);
const column = (W, i) => Float64Array.from(W, (row) => row[i]);

function softmax(a) {
  const top = Math.max(...a);
  const powers = a.map((value) => Math.exp(value - top));
  const sum = powers.reduce((all, value) => all + value, 0);
  return powers.map((value) => value / sum);
}

/** The error function by its series, whose terms are all positive; from 6 on it is 1 in double precision. */
function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  let term = size;
  let sum = size;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * size * size) / (2 * n + 1);
    sum += term;
  }
  return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-size * size) * sum;
}

const GELU = (x) => x.map((value) => (value * (1 + erf(value / Math.SQRT2))) / 2);

function layerNorm(e, gamma, beta, epsilon) {
  const m = e.reduce((sum, value) => sum + value, 0) / e.length;
  const v = e.reduce((sum, value) => sum + (value - m) ** 2, 0) / e.length;
  return e.map((value, i) => ((value - m) / Math.sqrt(v + epsilon)) * gamma[i] + beta[i]);
}

/** Algorithm 4 with the unidirectional mask: what it answers, and the weights (t_x, t_z), of which the hidden are 0. */
function attention(X, W) {
  const Q = X.map((x) => affine(W("W_q"), x, W("b_q"))); // 1
  const K = X.map((x) => affine(W("W_k"), x, W("b_k"))); // 2
  const V = X.map((x) => affine(W("W_v"), x, W("b_v"))); // 3
  const root = Math.sqrt(W("b_q").length);
  const weights = Q.map((q, t) => softmax(K.map((k, u) => (u <= t ? dot(k, q) / root : -Infinity)))); // 4, 5
  const answer = weights.map((alpha) => V[0].map((_, i) => alpha.reduce((sum, a, u) => sum + a * V[u][i], 0))); // 6
  return { answer, weights };
}

/** Algorithm 10: P by position, the attention weights by layer and head, and what each layer's X would say by itself. */
function decoder(x, theta, { sizes, epsilon }) {
  const of = (path) => (name) => theta[path + name];
  const normalised = (X, W, n) => X.map((e) => layerNorm(e, W(`gamma${n}`), W(`beta${n}`), epsilon));
  const unembedded = (X) => normalised(X, of(""), "").map((e) => softmax(Float64Array.from(theta.W_u, (row) => dot(row, e)))); // 10, 11
  let X = x.map((token, t) => plus(column(theta.W_e, token), column(theta.W_p, t))); // 2, 3
  const [lens, maps] = [[unembedded(X)], []];
  for (let l = 0; l < sizes.L; l++) { // 4
    const W = of(`layers[${l}].`);
    const X_tilde = normalised(X, W, "_1"); // 5
    const heads = Array.from({ length: sizes.H }, (_, h) => attention(X_tilde, of(`layers[${l}].attention.heads[${h}].`)));
    const Y = X.map((_, t) => heads.flatMap(({ answer }) => [...answer[t]]));
    X = X.map((e, t) => plus(e, affine(W("attention.W_o"), Y[t], W("attention.b_o")))); // 6
    const Z = normalised(X, W, "_2"); // 7
    X = X.map((e, t) => plus(e, affine(W("W_mlp2"), GELU(affine(W("W_mlp1"), Z[t], W("b_mlp1"))), W("b_mlp2")))); // 8
    maps.push(heads.map(({ weights }) => weights));
    lens.push(unembedded(X));
  } // 9
  return { P: lens[sizes.L], maps, lens };
}
