/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is done to samples at their full rate, before a signal's channel is cut out of them: what amrq.receive.decimation
 * and amrq.measure.cleaning compute with NumPy. tests/test_decimation.py and tests/test_native_clock.py hold one against
 * the other.
 */

#include <stdint.h>

#include "columns.h"
#include "wide.h"

/* Samples, complex [count], turned by a table of a whole period, complex [period], from its sample `start` on. */
WIDE void amrq_mixed(const float* samples, int64_t count, const float* table, int64_t period, int64_t start, float* out)
{
    for (int64_t first = 0; first < count;) {
        const int64_t left = period - start, many = left < count - first ? left : count - first;
        const float *from = samples + 2 * first, *by = table + 2 * start;
        float* to = out + 2 * first;
        for (int64_t k = 0; k < many; k++) {
            const float x = from[2 * k], y = from[2 * k + 1], c = by[2 * k], s = by[2 * k + 1];
            to[2 * k] = x * c - y * s;
            to[2 * k + 1] = x * s + y * c;
        }
        first += many;
        start = 0;
    }
}

#ifdef __clang__
#define SHUFFLED(one, other, ...) __builtin_shufflevector(one, other, __VA_ARGS__)
#else
#define SHUFFLED(one, other, ...) __builtin_shuffle(one, other, (order){ __VA_ARGS__ })
#endif

/* Sums of eight vectors of eight complex numbers each: one vector of eight. */
__attribute__((always_inline)) static inline void eight_sums(const lanes given[8], lanes* out)
{
    lanes halves[4], quarters[2];
    for (int n = 0; n < 4; n++)
        halves[n] = SHUFFLED(given[n], given[n + 4], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
                    + SHUFFLED(given[n], given[n + 4], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    for (int n = 0; n < 2; n++)
        quarters[n] = SHUFFLED(halves[n], halves[n + 2], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27)
                      + SHUFFLED(halves[n], halves[n + 2], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    *out = SHUFFLED(quarters[0], quarters[1], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
        + SHUFFLED(quarters[0], quarters[1], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}

/* Sums of samples, complex, times taps: out[m] is that of the samples from `every` * m on, complex [count].
 *
 * taps: each twice, [2 * length], length a multiple of 8.
 */
WIDE void amrq_decimated(const float* samples, int64_t count, int64_t every, const float* taps, int64_t length, float* out)
{
    for (int64_t first = 0; first < count; first += 8) {
        const int64_t held = count - first < 8 ? count - first : 8;
        lanes sums[8];
        for (int n = 0; n < 8; n++) {
            const float* from = samples + 2 * every * (first + (n < held ? n : 0));
            lanes sum = *(const loose*)from * *(const loose*)taps;
            for (int64_t k = LANES; k < 2 * length; k += LANES)
                sum += *(const loose*)(from + k) * *(const loose*)(taps + k);
            sums[n] = sum;
        }
        lanes found;
        eight_sums(sums, &found);
        for (int n = 0; n < 2 * held; n++)
            out[2 * first + n] = found[n];
    }
}

/* Bins of the spectrum of a square number of samples, complex [side * side], under a window, [side * side].
 *
 * A transform of so many samples is `side` short ones of every side-th sample, turned and added; of a few bins only these
 * sums are made. side: power of two, LANES to LONGEST; bins: at most side / 2 from 0, on either side, [count]; roots: of
 * `side`; turns: exp(-2 pi i bin n / side^2), [count, 2, side], real and imaginary parts; out: complex [count].
 */
WIDE void amrq_few_bins(const float* samples, const float* window, int64_t side, const int64_t* bins, int64_t count,
                        const float* roots, const float* turns, float* out)
{
    struct columns place[2];
    for (int64_t k = 0; k < 2 * count; k++)
        out[k] = 0;
    for (int64_t first = 0; first < side; first += LANES) {
        for (int64_t k = 0; k < side; k++) {
            const float* from = samples + 2 * (side * k + first);
            const lanes low = *(const loose*)from, high = *(const loose*)(from + LANES);
            const lanes by = *(const loose*)(window + side * k + first);
            place[0].re[k] = EVEN(low, high) * by;
            place[0].im[k] = ODD(low, high) * by;
        }
        const struct columns* done = place + transform(place, (int)side, roots);
        for (int64_t k = 0; k < count; k++) {
            const int64_t bin = bins[k] < 0 ? bins[k] + side : bins[k];
            const lanes c = *(const loose*)(turns + 2 * side * k + first);
            const lanes s = *(const loose*)(turns + 2 * side * k + side + first);
            const lanes re = done->re[bin] * c - done->im[bin] * s, im = done->re[bin] * s + done->im[bin] * c;
            float sum_re = 0, sum_im = 0;
            for (int lane = 0; lane < LANES; lane++) {
                sum_re += re[lane];
                sum_im += im[lane];
            }
            out[2 * k] += sum_re;
            out[2 * k + 1] += sum_im;
        }
    }
}

/* What spectra, complex [pieces, length], say of an image: of each pair of frequencies k and -k, from 2 on.
 *
 * products: sums over pieces of X(k) X(-k), complex [pairs]; above, below: of |X(k)|^2 and |X(-k)|^2, [pairs].
 */
void amrq_image_pairs(const float* spectra, int64_t pieces, int64_t length, int64_t pairs, double* products, double* above,
                      double* below)
{
    for (int64_t piece = 0; piece < pieces; piece++) {
        const float *up = spectra + 2 * (length * piece + 2), *down = spectra + 2 * (length * (piece + 1) - 2);
        for (int64_t k = 0; k < pairs; k++, up += 2, down -= 2) {
            const float a = up[0], b = up[1], c = down[0], d = down[1];
            products[2 * k] = (piece ? products[2 * k] : 0) + (double)(a * c - b * d);
            products[2 * k + 1] = (piece ? products[2 * k + 1] : 0) + (double)(a * d + b * c);
            above[k] = (piece ? above[k] : 0) + (double)(a * a + b * b);
            below[k] = (piece ? below[k] : 0) + (double)(c * c + d * d);
        }
    }
}

/* The products of each piece's pairs, weighed: complex [pieces]. weight: [pairs]. */
void amrq_image_each(const float* spectra, int64_t pieces, int64_t length, int64_t pairs, const double* weight,
                     double* each)
{
    for (int64_t piece = 0; piece < pieces; piece++) {
        const float *up = spectra + 2 * (length * piece + 2), *down = spectra + 2 * (length * (piece + 1) - 2);
        double re = 0, im = 0;
        for (int64_t k = 0; k < pairs; k++, up += 2, down -= 2) {
            re += (double)(up[0] * down[0] - up[1] * down[1]) * weight[k];
            im += (double)(up[0] * down[1] + up[1] * down[0]) * weight[k];
        }
        each[2 * piece] = re;
        each[2 * piece + 1] = im;
    }
}

/* The bins around one of spectra, complex [blocks, bins], in the order of an FFT, times a number of each block, complex
 * [blocks]; middle: that bin, 0 to bins - 1; out: complex [blocks, count]. */
WIDE void amrq_cut(const float* spectra, int64_t blocks, int64_t bins, int64_t middle, const float* turns, int64_t count,
                   float* out)
{
    for (int64_t block = 0; block < blocks; block++) {
        const float c = turns[2 * block], s = turns[2 * block + 1];
        for (int64_t half = 0; half < 2; half++) {
            const int64_t begin = half ? count / 2 : 0, stop = half ? count : count / 2;
            int64_t at = half ? (middle - (count - count / 2)) % bins : middle;
            at = at < 0 ? at + bins : at;
            for (int64_t first = begin; first < stop; at = 0) {
                const int64_t many = bins - at < stop - first ? bins - at : stop - first;
                const float* from = spectra + 2 * (bins * block + at);
                float* to = out + 2 * (count * block + first);
                for (int64_t k = 0; k < many; k++) {
                    to[2 * k] = from[2 * k] * c - from[2 * k + 1] * s;
                    to[2 * k + 1] = from[2 * k] * s + from[2 * k + 1] * c;
                }
                first += many;
            }
        }
    }
}
