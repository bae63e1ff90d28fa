/* Algorithm 4 in C, verified line by line with conformance vectors; for little-endian machines.
 *
 *   formal-tx vectors --out vectors
 *   cc -O2 examples/conformance/attention.c -o attention -lm && ./attention vectors/algorithm_04_attention.safetensors
 *
 * With -DBROKEN it forgets to scale the scores, and the vectors say so. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *header, *data;
static double worst;

/* A tensor of case number c, with its rows and columns; NULL if there is none of that name. */
static void *tensor(int c, const char *name, int *rows, int *columns) {
    char key[64];
    snprintf(key, sizeof key, "\"%d/%s\":", c, name);
    const char *at = strstr(header, key);
    if (!at) return NULL;
    *columns = 1;
    sscanf(strstr(at, "\"shape\":["), "\"shape\":[%d,%d", rows, columns);
    return data + strtol(strstr(at, "\"data_offsets\":[") + 16, NULL, 10);
}

/* The largest difference relative to the largest value; where that is no number, the same has to be found. */
static void compare(int c, const char *name, const double *found) {
    int m, n;
    double largest = 0, difference = 0, *expected = tensor(c, name, &m, &n);
    if (!expected) printf("there is no tensor %d/%s\n", c, name), exit(2);
    for (int i = 0; i < m * n; i++) {
        double d = fabs(found[i] - expected[i]);
        int same = found[i] == expected[i] || (isnan(found[i]) && isnan(expected[i]));
        difference = same ? difference : isfinite(d) ? fmax(difference, d) : INFINITY;
        largest = isfinite(expected[i]) ? fmax(largest, fabs(expected[i])) : largest;
    }
    worst = fmax(worst, largest > 0 ? difference / largest : difference);
}

/* B = W A + b, b being added to every column: W is (m, k), A is (k, n). */
static double *affine(const double *W, const double *A, const double *b, int m, int k, int n) {
    double *B = malloc(sizeof *B * m * n);
    for (int i = 0; i < m * n; i++) {
        B[i] = b[i / n];
        for (int j = 0; j < k; j++) B[i] += W[i / n * k + j] * A[j * n + i % n];
    }
    return B;
}

static int attention(int c) {
    int d_x, l_x, d_z, l_z, d_attn, d_out, one;
    double *X = tensor(c, "input/X", &d_x, &l_x), *Z = tensor(c, "input/Z", &d_z, &l_z);
    if (!X) return 0;
    char *Mask = tensor(c, "input/Mask", &l_z, &l_x);
    double *b_q = tensor(c, "parameter/b_q", &d_attn, &one), *W_q = tensor(c, "parameter/W_q", &d_attn, &d_x);
    double *b_k = tensor(c, "parameter/b_k", &d_attn, &one), *W_k = tensor(c, "parameter/W_k", &d_attn, &d_z);
    double *b_v = tensor(c, "parameter/b_v", &d_out, &one), *W_v = tensor(c, "parameter/W_v", &d_out, &d_z);
    double *Q = affine(W_q, X, b_q, d_attn, d_x, l_x);  /* 1 */
    double *K = affine(W_k, Z, b_k, d_attn, d_z, l_z);  /* 2 */
    double *V = affine(W_v, Z, b_v, d_out, d_z, l_z);   /* 3 */
    double *S = calloc(l_z * l_x, sizeof *S), *V_tilde = calloc(d_out * l_x, sizeof *V_tilde);
    for (int i = 0; i < l_z * l_x; i++)  /* 4 */
        for (int j = 0; j < d_attn; j++) S[i] += K[j * l_z + i / l_x] * Q[j * l_x + i % l_x];
    compare(c, "line/1.Q", Q), compare(c, "line/2.K", K), compare(c, "line/3.V", V), compare(c, "line/4.S", S);
    for (int i = 0; i < l_z * l_x; i++) if (!Mask[i]) S[i] = -INFINITY;  /* 5 */
    compare(c, "line/5.S", S);
#ifdef BROKEN
    d_attn = 1;
#endif
    for (int t = 0; t < l_x; t++) {  /* 6: the softmax of column t, its largest score taken off first */
        double top = -INFINITY, sum = 0;
        for (int u = 0; u < l_z; u++) top = fmax(top, S[u * l_x + t]);
        for (int u = 0; u < l_z; u++) sum += exp((S[u * l_x + t] - top) / sqrt(d_attn));
        for (int i = 0; i < d_out; i++)
            for (int u = 0; u < l_z; u++)
                V_tilde[i * l_x + t] += V[i * l_z + u] * exp((S[u * l_x + t] - top) / sqrt(d_attn)) / sum;
    }
    compare(c, "line/6.V_tilde", V_tilde), compare(c, "output/V_tilde", V_tilde);
    free(Q), free(K), free(V), free(S), free(V_tilde);
    return 1;
}

int main(int argc, char **argv) {
    uint64_t length;
    int cases = 0, agrees;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file || fread(&length, 8, 1, file) != 1 || length > 1 << 24) return puts("expected a file of vectors"), 2;
    header = calloc(length + 1, 1), data = malloc(1 << 24);
    if (fread(header, 1, length, file) != length || !fread(data, 1, 1 << 24, file)) return puts("cut short"), 2;
    while (attention(cases + 1)) cases++;
    agrees = cases && worst <= 1e-10;
    printf("%d cases, worst error %.1e: %s\n", cases, worst, agrees ? "agrees" : "DISAGREES");
    return !agrees;
}
