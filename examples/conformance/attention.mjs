// Algorithm 4 in JavaScript, verified line by line with conformance vectors.
//
//   formal-tx vectors --out vectors
//   node examples/conformance/attention.mjs vectors/algorithm_04_attention.safetensors
//
// With --broken it forgets to scale the scores, and the vectors say so.
import { readFileSync } from "node:fs";

const [path, broken] = process.argv.slice(2);
const file = readFileSync(path);
const start = 8 + Number(file.readBigUInt64LE(0));
const header = JSON.parse(file.toString("utf8", 8, start));

// A tensor as a list of rows; a vector is a column.
function tensor(name) {
  const { dtype, shape: [m, n = 1], data_offsets: [from] } = header[name];
  const read = dtype === "F64" ? (i) => file.readDoubleLE(start + from + 8 * i) : (i) => file[start + from + i];
  return table(m, n, (i, j) => read(i * n + j));
}

const table = (m, n, f) => Array.from({ length: m }, (_, i) => Array.from({ length: n }, (_, j) => f(i, j)));
const product = (A, B) => table(A.length, B[0].length, (i, j) => A[i].reduce((sum, a, k) => sum + a * B[k][j], 0));
const transposed = (A) => table(A[0].length, A.length, (i, j) => A[j][i]);
const affine = (W, X, b) => product(W, X).map((row, i) => row.map((value) => value + b[i][0]));

function softmax(A) {  // every column by itself, its largest entry taken off first
  return transposed(transposed(A).map((column) => {
    const exponentials = column.map((a) => Math.exp(a - Math.max(...column)));
    return exponentials.map((e) => e / exponentials.reduce((sum, x) => sum + x, 0));
  }));
}

function attention(c) {
  const of = (name) => tensor(`${c}/${name}`);
  const [W_q, b_q, W_k, b_k, W_v, b_v] = ["W_q", "b_q", "W_k", "b_k", "W_v", "b_v"].map((p) => of(`parameter/${p}`));
  const [X, Z, Mask] = ["X", "Z", "Mask"].map((name) => of(`input/${name}`));
  const Q = affine(W_q, X, b_q);                                                // 1
  const K = affine(W_k, Z, b_k);                                                // 2
  const V = affine(W_v, Z, b_v);                                                // 3
  const S = product(transposed(K), Q);                                          // 4
  const S_masked = S.map((row, i) => row.map((s, j) => (Mask[i][j] ? s : -Infinity)));  // 5
  const scale = broken ? 1 : Math.sqrt(b_q.length);
  const V_tilde = product(V, softmax(S_masked.map((row) => row.map((s) => s / scale))));  // 6
  const lines = { "1.Q": Q, "2.K": K, "3.V": V, "4.S": S, "5.S": S_masked, "6.V_tilde": V_tilde };
  return Math.max(...Object.entries(lines).map(([name, found]) => error(found, of(`line/${name}`))));
}

// The largest difference relative to the largest value; where that is no number, the same has to be found.
function error(found, expected) {
  const pairs = expected.flatMap((row, i) => row.map((e, j) => [found[i][j], e]));
  const differences = pairs.map(([f, e]) => (Object.is(f, e) ? 0 : Number.isFinite(f - e) ? Math.abs(f - e) : Infinity));
  return Math.max(...differences) / (Math.max(...pairs.map(([, e]) => Math.abs(e)).filter(Number.isFinite)) || 1);
}

const errors = [];
for (let c = 1; `${c}/input/X` in header; c++) errors.push(attention(c));
const worst = Math.max(...errors), agrees = errors.length > 0 && worst <= 1e-10;
console.log(`${errors.length} cases, worst error ${worst.toExponential(1)}: ${agrees ? "agrees" : "DISAGREES"}`);
process.exitCode = agrees ? 0 : 1;
