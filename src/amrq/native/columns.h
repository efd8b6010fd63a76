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

/* Four values after a step of radix 4, each so far from the one before; turns: cosines and sines of the last three. */
__attribute__((always_inline)) static inline void four(const lanes re[4], const lanes im[4], const float turns[6],
                                                       lanes* restrict to_re, lanes* restrict to_im, int apart)
{
    const lanes pre = re[0] + re[2], pim = im[0] + im[2], mre = re[0] - re[2], mim = im[0] - im[2];
    const lanes qre = re[1] + re[3], qim = im[1] + im[3], jre = im[3] - im[1], jim = re[1] - re[3];
    const lanes ure = mre - jre, uim = mim - jim, vre = mre + jre, vim = mim + jim;
    const lanes tre = pre - qre, tim = pim - qim;
    to_re[0] = pre + qre;
    to_im[0] = pim + qim;
    to_re[apart] = ure * turns[0] - uim * turns[1];
    to_im[apart] = ure * turns[1] + uim * turns[0];
    to_re[2 * apart] = tre * turns[2] - tim * turns[3];
    to_im[2 * apart] = tre * turns[3] + tim * turns[2];
    to_re[3 * apart] = vre * turns[4] - vim * turns[5];
    to_im[3 * apart] = vre * turns[5] + vim * turns[4];
}

/* Transform columns of `size` values, 4 or more, of which the second half is zero, and need not be there, where `half` is
 * set; returns in which of the two places they are then. roots: exp(-2 pi i k / size), real parts and after them imaginary
 * ones. */
__attribute__((always_inline)) static inline int transform_part(struct columns place[2], int size, const float* roots,
                                                                int half)
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
        const int quarter = n / 4, step = s * quarter;
        for (int p = 0; p < quarter; p++) {
            const int k = p * s;
            const float turns[6] = { roots[k], roots[size + k], roots[2 * k], roots[size + 2 * k], roots[3 * k],
                                     roots[size + 3 * k] };
            if (half && s == 1) {
                const lanes re[4] = { x->re[p], x->re[p + step] }, im[4] = { x->im[p], x->im[p + step] };
                four(re, im, turns, y->re + 4 * p, y->im + 4 * p, 1);
                continue;
            }
            for (int q = 0; q < s; q++) {
                const int from = q + k, to = q + 4 * k;
                const lanes re[4] = { x->re[from], x->re[from + step], x->re[from + 2 * step], x->re[from + 3 * step] };
                const lanes im[4] = { x->im[from], x->im[from + step], x->im[from + 2 * step], x->im[from + 3 * step] };
                four(re, im, turns, y->re + to, y->im + to, s);
            }
        }
        n = quarter;
        s *= 4;
    }
    return at;
}

/* Transform columns of `size` values; see transform_part. */
__attribute__((always_inline)) static inline int transform(struct columns place[2], int size, const float* roots)
{
    return transform_part(place, size, roots, 0);
}

#endif
