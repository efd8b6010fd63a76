/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the layers of a family model see of a chunk, but for the Fourier transforms: what the graph of
 * amrq.training.architectures.FamilyNet computes in its nodes "/front/...". tests/test_family_front.py holds one against
 * the other. Every loop over samples is one that a compiler turns into vector instructions.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

#define INLINE __attribute__((always_inline)) static inline
#define MOST 16384 /* samples of a chunk */
#define LANES 16
#define FRAMES 8 /* samples, or bins, that make one place */
#define LAG_STEPS 4
#define BINS 32
#define HARMONICS 14
#define KINDS 6
#define SMALL 1e-8f
#define TURN 6.28318530718f

INLINE float least(float a, float b)
{
    return a < b ? a : b;
}

INLINE float most(float a, float b)
{
    return a > b ? a : b;
}

/* The sum of so many numbers, in lanes. */
INLINE double sum_of(const float* values, int64_t count)
{
    float sums[LANES] = { 0 };
    double all = 0;
    int64_t n = 0;
    for (; n + LANES <= count; n += LANES)
        for (int k = 0; k < LANES; k++)
            sums[k] += values[n + k];
    for (; n < count; n++)
        all += values[n];
    for (int k = 0; k < LANES; k++)
        all += sums[k];
    return all;
}

/* log(x), x > 0 and not denormal, to some 1e-7. */
INLINE float logarithm(float x)
{
    int32_t bits;
    memcpy(&bits, &x, 4);
    const int32_t shifted = bits - 0x3f3504f3; /* that of the root of one half */
    const int32_t exponent = shifted >> 23;
    const int32_t rest = (shifted & 0x007fffff) + 0x3f3504f3;
    float m;
    memcpy(&m, &rest, 4);
    const float f = (m - 1.0f) / (m + 1.0f), u = f * f;
    const float series = f * (2.0f + u * (0.666666667f + u * (0.4f + u * (0.285714286f + u * 0.222222222f))));
    return (float)exponent * 0.693147181f + series;
}

/* cos and sin of an angle from 0 to 2 pi. */
INLINE void cosine_and_sine(float angle, float* c, float* s)
{
    const float y = 0.5f * angle - 1.57079632679f, u = y * y;
    const float sine = y * (1.0f + u * (-0.166666667f + u * (8.33333333e-3f + u * (-1.98412698e-4f
                       + u * (2.75573192e-6f + u * (-2.50521084e-8f + u * 1.60590438e-10f))))));
    const float cosine = 1.0f + u * (-0.5f + u * (4.16666667e-2f + u * (-1.38888889e-3f + u * (2.48015873e-5f
                         + u * (-2.75573192e-7f + u * (2.08767570e-9f - u * 1.14707456e-11f))))));
    *s = -2.0f * sine * cosine; /* the angle is 2 y + pi */
    *c = 2.0f * sine * sine - 1.0f;
}

/* Products of samples with the conjugates of those before them; the first `lag` are zeros. */
INLINE void turns_of(const float* re, const float* im, int64_t count, int64_t lag, float* to_re, float* to_im)
{
    memset(to_re, 0, (size_t)lag * sizeof *to_re);
    memset(to_im, 0, (size_t)lag * sizeof *to_im);
    for (int64_t n = lag; n < count; n++) {
        to_re[n] = re[n] * re[n - lag] + im[n] * im[n - lag];
        to_im[n] = im[n] * re[n - lag] - re[n] * im[n - lag];
    }
}

/* The same with the root of their magnitude. */
INLINE void soften(const float* re, const float* im, int64_t count, float* to_re, float* to_im)
{
    for (int64_t n = 0; n < count; n++) {
        const float size = sqrtf(re[n] * re[n] + im[n] * im[n] + SMALL);
        const float weight = least(sqrtf(size), 3.0f) / size;
        to_re[n] = re[n] * weight;
        to_im[n] = im[n] * weight;
    }
}

INLINE void means_of(const float* values, int64_t count, int64_t places, float* to)
{
    for (int64_t n = 0; n < count / places; n++) {
        float sum = 0;
        for (int64_t k = 0; k < places; k++)
            sum += values[places * n + k];
        to[n] = sum / (float)places;
    }
}

INLINE void largest_of(const float* values, int64_t count, int64_t places, float* to)
{
    for (int64_t n = 0; n < count / places; n++) {
        float top = values[places * n];
        for (int64_t k = 1; k < places; k++)
            top = most(top, values[places * n + k]);
        to[n] = top;
    }
}

/* Directions of turns that are averaged, and their weights; returns how many. */
INLINE int64_t directions(const float* re, const float* im, int64_t count, int64_t places, float* c, float* s, float* w)
{
    const int64_t found = count / places;
    means_of(re, count, places, c);
    means_of(im, count, places, s);
    for (int64_t n = 0; n < found; n++) {
        const float size = sqrtf(c[n] * c[n] + s[n] * s[n] + SMALL);
        c[n] /= size;
        s[n] /= size;
        w[n] = least(sqrtf(size), 2.0f);
    }
    return found;
}

/* Weighted means of cos(k x) and sin(k x), k from 1, by z^(k + 1) = 2 Re(z) z^k - |z|^2 z^(k - 1). */
INLINE void moments(const float* c, const float* s, const float* w, int64_t count, float* found)
{
    float sums[2 * HARMONICS][LANES] = { { 0 } }, weights[LANES] = { 0 };
    for (int64_t first = 0; first < count; first += LANES) {
        float x[LANES] = { 0 }, y[LANES] = { 0 }, weight[LANES] = { 0 };
        const int64_t here = count - first < LANES ? count - first : LANES;
        for (int64_t k = 0; k < here; k++) {
            x[k] = c[first + k];
            y[k] = s[first + k];
            weight[k] = w ? w[first + k] : 1.0f;
        }
        float size[LANES], re[LANES], im[LANES], re_before[LANES], im_before[LANES];
        for (int k = 0; k < LANES; k++) {
            size[k] = x[k] * x[k] + y[k] * y[k];
            re[k] = x[k];
            im[k] = y[k];
            re_before[k] = 1.0f;
            im_before[k] = 0.0f;
            weights[k] += weight[k];
        }
        for (int order = 0; order < HARMONICS; order++)
            for (int k = 0; k < LANES; k++) {
                sums[order][k] += weight[k] * re[k];
                sums[HARMONICS + order][k] += weight[k] * im[k];
                const float next_re = 2.0f * x[k] * re[k] - size[k] * re_before[k];
                const float next_im = 2.0f * x[k] * im[k] - size[k] * im_before[k];
                re_before[k] = re[k];
                im_before[k] = im[k];
                re[k] = next_re;
                im[k] = next_im;
            }
    }
    float all = 0;
    for (int k = 0; k < LANES; k++)
        all += weights[k];
    for (int order = 0; order < 2 * HARMONICS; order++) {
        float sum = 0;
        for (int k = 0; k < LANES; k++)
            sum += sums[order][k];
        found[order] = sum / (all + 1e-6f);
    }
}

INLINE void directions_of_amplitudes(const float* size, int64_t count, float* c, float* s)
{
    for (int64_t n = 0; n < count / 2; n++)
        cosine_and_sine(least(size[2 * n], 2.4f) * (TURN / 2.8f), c + n, s + n);
}

/* Rows over time, rows that are transformed, and histograms.
 *
 * raw: complex [count], the chunk; boxed: the same within its box, of any level; window: [count]; smooth: [28, 32];
 * time: [8, count / 8]; rows: complex [6, count]; phases: [6, 32]; room: [15 count].
 */
WIDE void amrq_family_rows(const float* raw, const float* boxed, int64_t count, const float* window, const float* smooth,
                           float* time, float* rows, float* phases, float* room)
{
    const int64_t places = count / FRAMES;
    float *re = room, *im = re + count, *loud = im + count, *size = loud + count, *square = size + count;
    float *turn_re[3], *turn_im[3], *two_re = square + count, *two_im = two_re + count;
    float *four_re = two_im + count, *four_im = four_re + count;
    for (int k = 0; k < 3; k++) {
        turn_re[k] = four_im + (2 * k + 1) * count;
        turn_im[k] = four_im + (2 * k + 2) * count;
    }
    int32_t there = 0;
    for (int64_t n = 0; n < count; n++) {
        re[n] = boxed[2 * n];
        im[n] = boxed[2 * n + 1];
        square[n] = re[n] * re[n] + im[n] * im[n];
        loud[n] = sqrtf(raw[2 * n] * raw[2 * n] + raw[2 * n + 1] * raw[2 * n + 1]);
        there += loud[n] > 1e-6f;
    }
    const float level = sqrtf((float)sum_of(square, count) / ((float)there + 1.0f) + 1e-9f);
    for (int64_t n = 0; n < count; n++) {
        re[n] /= level;
        im[n] /= level;
        square[n] = re[n] * re[n] + im[n] * im[n];
        size[n] = sqrtf(square[n] + SMALL);
    }
    for (int k = 0; k < 3; k++)
        turns_of(re, im, count, (int64_t)2 << k, turn_re[k], turn_im[k]);
    soften(turn_re[0], turn_im[0], count, two_re, two_im);
    soften(turn_re[1], turn_im[1], count, four_re, four_im);

    /* Histograms, in the order of their rows: turns over two and four samples, then four, eight, then amplitudes. */
    float found[KINDS][2 * HARMONICS];
    float *c = rows, *s = rows + count, *w = rows + 2 * count;
    const int lags[4] = { 0, 1, 1, 2 }, averaged[4] = { 8, 2, 16, 2 };
    for (int kind = 0; kind < 4; kind++) {
        const int64_t lag = (int64_t)2 << lags[kind];
        const int64_t number = directions(turn_re[lags[kind]] + lag, turn_im[lags[kind]] + lag, count - lag,
                                          averaged[kind], c, s, w);
        moments(c, s, w, number, found[kind]);
    }
    for (int kind = 4; kind < KINDS; kind++) {
        directions_of_amplitudes(kind == 4 ? size : loud, count, c, s);
        moments(c, s, NULL, count / 2, found[kind]);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        float* to = phases + BINS * kind;
        memset(to, 0, BINS * sizeof *to);
        for (int order = 0; order < 2 * HARMONICS; order++)
            for (int bin = 0; bin < BINS; bin++)
                to[bin] += found[kind][order] * smooth[BINS * order + bin];
    }

    /* Over time. */
    float *row = turn_re[0], *other = turn_im[0]; /* of use no more */
    for (int64_t n = 0; n < count; n++) {
        row[n] = least(size[n], 4.0f);
        other[n] = least(loud[n], 4.0f);
    }
    means_of(row, count, FRAMES, time);
    largest_of(row, count, FRAMES, time + 6 * places);
    largest_of(other, count, FRAMES, time + 7 * places);
    means_of(two_re, count, FRAMES, time + places);
    means_of(two_im, count, FRAMES, time + 2 * places);
    means_of(four_re, count, FRAMES, time + 3 * places);
    means_of(four_im, count, FRAMES, time + 4 * places);
    for (int64_t n = 0; n < count; n++) {
        row[n] = four_im[n] * four_im[n];
        other[n] = least(square[n], 9.0f);
    }
    means_of(row, count, FRAMES, time + 5 * places);
    for (int64_t n = 0; n < 8 * places; n++)
        time[n] = least(time[n], 4.2f);

    /* What is transformed. */
    const float envelope = (float)(sum_of(other, count) / (double)count);
    const float pitch = (float)(sum_of(four_im, count) / (double)count);
    for (int64_t n = 0; n < count; n++) {
        const float soft = least(size[n], 3.0f), by = window[n];
        const float x = re[n] / size[n], y = im[n] / size[n];
        const float x2 = x * x - y * y, y2 = y * x + x * y;
        const float x4 = x2 * x2 - y2 * y2, y4 = y2 * x2 + x2 * y2;
        const float a = four_re[n], b = four_im[n];
        float* to = rows + 2 * n;
        to[0] = raw[2 * n] * by;
        to[1] = raw[2 * n + 1] * by;
        to[2 * count] = x2 * soft * by;
        to[2 * count + 1] = y2 * soft * by;
        to[4 * count] = x4 * soft * by;
        to[4 * count + 1] = y4 * soft * by;
        to[6 * count] = (other[n] - envelope) * by;
        to[6 * count + 1] = 0;
        to[8 * count] = (b - pitch) * by;
        to[8 * count + 1] = 0;
        to[10 * count] = (a * a - b * b) * by;
        to[10 * count + 1] = (b * a + a * b) * by;
    }
}

/* Rows over frequency, and powers of the first, fourth and fifth spectrum.
 *
 * spectra: complex [6, count]; frequency: [12, count / 8]; powers: [3, count]; means: [3], of these powers.
 */
WIDE void amrq_family_spectra(const float* spectra, int64_t count, float* frequency, float* powers, float* means)
{
    const int64_t places = count / FRAMES;
    float power[MOST];
    for (int row = 0; row < 6; row++) {
        const float* from = spectra + 2 * count * row;
        for (int64_t n = 0; n < count; n++)
            power[n] = from[2 * n] * from[2 * n] + from[2 * n + 1] * from[2 * n + 1];
        const float mean = (float)(sum_of(power, count) / (double)count) + 1e-9f;
        if (row == 0 || row == 3 || row == 4) {
            const int number = row ? row - 2 : 0;
            memcpy(powers + count * number, power, (size_t)count * sizeof *power);
            means[number] = mean;
        }
        for (int64_t n = 0; n < count; n++)
            power[n] = logarithm(power[n] / mean + 1e-3f) * 0.3f;
        largest_of(power, count, FRAMES, frequency + places * row);
        means_of(power, count, FRAMES, frequency + places * (6 + row));
    }
}

/* Power spectra of blocks: complex [rows, count] to [rows, count]; returns their mean. */
WIDE double amrq_family_powers(const float* spectra, int64_t rows, int64_t count, float* powers)
{
    for (int64_t n = 0; n < rows * count; n++)
        powers[n] = spectra[2 * n] * spectra[2 * n] + spectra[2 * n + 1] * spectra[2 * n + 1];
    return sum_of(powers, rows * count) / (double)(rows * count);
}

/* Magnitudes of correlations, in units of a mean and times so much, at most 6. */
INLINE void alike(const float* transform, int64_t lags, float scale, float* to)
{
    for (int64_t n = 0; n < lags; n++) {
        const float re = transform[2 * n] * scale, im = transform[2 * n + 1] * scale;
        to[n] = sqrtf(re * re + im * im + 1e-12f);
    }
}

/* Rows over lag.
 *
 * long_ones: complex [3, count / 2 + 1], transforms of powers whose means are `means`; short_ones: complex [blocks,
 * block + 1], of 2 block powers of each block, whose mean is `mean`; block must be count / 8; lag: rows 0 to 5 and 7 of
 * [8, count / 8] are written.
 */
WIDE void amrq_family_lags(const float* long_ones, const float* means, int64_t count, const float* short_ones, float mean,
                           int64_t blocks, float* lag)
{
    const int64_t half = count / 2, places = half / LAG_STEPS, block = count / 8;
    float row[MOST / 2], sums[MOST / 8];
    for (int number = 0; number < 3; number++) {
        alike(long_ones + 2 * (half + 1) * number, half, 1.0f / (float)count, row);
        for (int64_t n = 0; n < half; n++)
            row[n] = least(row[n] / means[number] * 16.0f, 6.0f);
        largest_of(row, half, LAG_STEPS, lag + places * number);
        means_of(row, half, LAG_STEPS, lag + places * (3 + number));
    }
    memset(sums, 0, sizeof sums);
    for (int64_t number = 0; number < blocks; number++) {
        alike(short_ones + 2 * (block + 1) * number, block, 0.5f / (float)block, row);
        for (int64_t n = 0; n < block; n++)
            sums[n] += row[n];
    }
    for (int64_t n = 0; n < block; n++)
        lag[7 * places + n] = least(sums[n] / (float)blocks / (mean + 1e-9f) * 12.0f, 6.0f);
}
