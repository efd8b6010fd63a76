/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Many short transforms side by side, each in a lane of vectors of its own, so that all steps are those of single numbers.
 * They are Stockham's, of radix 4, with a last step of radix 2 where needed.
 */
#ifndef AMRQ_COLUMNS_H
#define AMRQ_COLUMNS_H

#include <stdint.h>

#define LANES 16
#ifndef LONGEST
#define LONGEST 256 /* values of a transform at most */
#endif

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* Every second value of two vectors, from the first or the second on. */
#ifdef __clang__
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#else
typedef int32_t order __attribute__((vector_size(4 * LANES)));
#define EVEN(a, b) __builtin_shuffle(a, b, (order){ 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30 })
#define ODD(a, b) __builtin_shuffle(a, b, (order){ 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31 })
#endif

/* Real and imaginary parts of transforms side by side. */
struct columns {
    lanes re[LONGEST], im[LONGEST];
};

/* Exchange the rows and the columns of as many vectors as a vector has lanes. */
__attribute__((always_inline)) static inline void exchanged(lanes values[LANES])
{
    for (int count = 1; count < LANES; count *= 2) {
        lanes even[LANES / 2], odd[LANES / 2];
        for (int n = 0; n < LANES / 2; n++) {
            even[n] = EVEN(values[2 * n], values[2 * n + 1]);
            odd[n] = ODD(values[2 * n], values[2 * n + 1]);
        }
        for (int n = 0; n < LANES / 2; n++) {
            values[n] = even[n];
            values[LANES / 2 + n] = odd[n];
        }
    }
}

/* Transform columns of `size` values; returns in which of the two places they are then. roots: exp(-2 pi i k / size),
 * real parts and after them imaginary ones. */
__attribute__((always_inline)) static inline int transform(struct columns place[2], int size, const float* roots)
{
    int at = 0;
    for (int n = size, s = 1; n > 1; at ^= 1) {
        const struct columns* restrict x = place + at;
        struct columns* restrict y = place + (at ^ 1);
        if (n == 2) {
            for (int q = 0; q < s; q++) {
                y->re[q] = x->re[q] + x->re[q + s];
                y->im[q] = x->im[q] + x->im[q + s];
                y->re[q + s] = x->re[q] - x->re[q + s];
                y->im[q + s] = x->im[q] - x->im[q + s];
            }
            n = 1;
            continue;
        }
        const int quarter = n / 4;
        for (int p = 0; p < quarter; p++) {
            const float c1 = roots[p * s], s1 = roots[size + p * s];
            const float c2 = roots[2 * p * s], s2 = roots[size + 2 * p * s];
            const float c3 = roots[3 * p * s], s3 = roots[size + 3 * p * s];
            for (int q = 0; q < s; q++) {
                const int from = q + s * p, step = s * quarter, to = q + 4 * s * p;
                const lanes are = x->re[from], aim = x->im[from];
                const lanes bre = x->re[from + step], bim = x->im[from + step];
                const lanes cre = x->re[from + 2 * step], cim = x->im[from + 2 * step];
                const lanes dre = x->re[from + 3 * step], dim = x->im[from + 3 * step];
                const lanes pre = are + cre, pim = aim + cim, mre = are - cre, mim = aim - cim;
                const lanes qre = bre + dre, qim = bim + dim, jre = dim - bim, jim = bre - dre;
                const lanes ure = mre - jre, uim = mim - jim, vre = mre + jre, vim = mim + jim;
                const lanes tre = pre - qre, tim = pim - qim;
                y->re[to] = pre + qre;
                y->im[to] = pim + qim;
                y->re[to + s] = ure * c1 - uim * s1;
                y->im[to + s] = ure * s1 + uim * c1;
                y->re[to + 2 * s] = tre * c2 - tim * s2;
                y->im[to + 2 * s] = tre * s2 + tim * c2;
                y->re[to + 3 * s] = vre * c3 - vim * s3;
                y->im[to + 3 * s] = vre * s3 + vim * c3;
            }
        }
        n = quarter;
        s *= 4;
    }
    return at;
}

#endif
