/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What repeats itself after a lag, once a period: OFDM's prefix. As the NumPy code beside the caller does it;
 * tests/test_native_repeats.py holds one against the other.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

/* How much higher the highest of overlapping windows is than that of windows side by side, in noise. */
#define OVERLAP 0.9

enum { LANES = 16, PARTS = 8, CHAINS = 4 };

/* The sum of squared magnitudes, in lanes that are added up in double precision now and then. */
WIDE static double power_sum(const float* re, const float* im, int64_t count)
{
    double total = 0;
    for (int64_t first = 0; first < count; first += 32 * LANES) {
        float lanes[LANES] = {0};
        const int64_t stop = count - first < 32 * LANES ? count : first + 32 * LANES, whole = stop - (stop - first) % LANES;
        for (int64_t k = first; k < whole; k += LANES)
            for (int n = 0; n < LANES; n++)
                lanes[n] += re[k + n] * re[k + n] + im[k + n] * im[k + n];
        for (int64_t k = whole; k < stop; k++)
            lanes[k - whole] += re[k] * re[k] + im[k] * im[k];
        for (int n = 0; n < LANES; n++)
            total += (double)lanes[n];
    }
    return total;
}

#define FEW(step_)                                                                \
    case step_:                                                                  \
        for (int64_t k = 0; k < blocks; k++) {                                   \
            float sum = 0;                                                       \
            for (int i = 0; i < (step_); i++)                                    \
                sum += values[k * (step_) + i];                                  \
            sums[k] = sum;                                                       \
        }                                                                        \
        return;

/* Sums of `step` values each; they may take the place of the values. Of few values several sums are made at once. */
WIDE static void sum_blocks(const float* values, int64_t blocks, int64_t step, float* sums)
{
    switch (step) {
        FEW(1)
        FEW(2)
        FEW(3)
        FEW(4)
        FEW(5)
        FEW(6)
        FEW(7)
        FEW(8)
    }
    if (step < 2 * LANES) {
        for (int64_t k = 0; k < blocks; k++) {
            float sum = 0;
            for (int64_t i = k * step; i < (k + 1) * step; i++)
                sum += values[i];
            sums[k] = sum;
        }
        return;
    }
    for (int64_t k = 0; k < blocks; k++) {
        float lanes[LANES] = {0}, sum = 0;
        const float* from = values + k * step;
        int64_t i = 0;
        for (; i + LANES <= step; i += LANES)
            for (int n = 0; n < LANES; n++)
                lanes[n] += from[i + n];
        for (; i < step; i++)
            sum += from[i];
        for (int n = 0; n < LANES; n++)
            sum += lanes[n];
        sums[k] = sum;
    }
}

/* Blocks of a product: their sums, so many, and the mean of their squared magnitudes in noise. */
struct blocks {
    const float *re, *im;
    int64_t count;
    float power;
};

/* Sums of `step` values each; sums that are larger than 6 times their mean square are made as large as that.
 *
 * noise: mean squared magnitude of such a sum in noise. Where there is more, as of what repeats itself all the time,
 * that counts, of each sum up to 3 times as much: those in a prefix are few.
 */
WIDE static void add_up(const float* re, const float* im, int64_t count, int64_t step, float noise, float* sum_re,
                        float* sum_im, struct blocks* out)
{
    const int64_t blocks = count / step;
    double totals[PARTS] = {0}, helds[PARTS] = {0}, total = 0, held = 0;
    sum_blocks(re, blocks, step, sum_re);
    sum_blocks(im, blocks, step, sum_im);
    for (int64_t first = 0; first < blocks; first += PARTS)
        for (int64_t n = 0; n < PARTS; n++) {
            const int64_t k = first + n < blocks ? first + n : first;
            const float size = first + n < blocks ? sum_re[k] * sum_re[k] + sum_im[k] * sum_im[k] : 0;
            totals[n] += (double)size;
            helds[n] += (double)(size < 3 * noise ? size : 3 * noise);
        }
    for (int n = 0; n < PARTS; n++) {
        total += totals[n];
        held += helds[n];
    }
    const float most = (float)(6 * total / (double)(blocks > 0 ? blocks : 1));
    for (int64_t k = 0; k < blocks; k++) {
        const float size = sum_re[k] * sum_re[k] + sum_im[k] * sum_im[k];
        const float times = size > most ? sqrtf(most / size) : 1;
        sum_re[k] *= times;
        sum_im[k] *= times;
    }
    const float mean = (float)(held / (double)(blocks > 0 ? blocks : 1));
    *out = (struct blocks){ sum_re, sum_im, blocks, mean > noise ? mean : noise };
}

/* The largest square of a window's sum, of `around` values, less its share of the whole.
 *
 * re, im: [wide + around + 1], sums of a fold and of its beginning up to each place.
 */
WIDE static float largest(const float* re, const float* im, int64_t wide, int64_t around)
{
    const float share = (float)around / (float)wide, mean_re = re[wide] * share, mean_im = im[wide] * share;
    float best = 0;
    for (int64_t k = 0; k < wide; k++) {
        const float x = re[k + around] - re[k] - mean_re, y = im[k + around] - im[k] - mean_im;
        const float value = x * x + y * y;
        best = best > value ? best : value;
    }
    return best;
}

/* Add up to `rows` rows, a period apart from a row on, to one; returns how many there were. */
WIDE static int64_t add_rows(const struct blocks* sums, double period, int64_t row, int64_t rows, int64_t wide, float* re,
                             float* im)
{
    int64_t whole = 0;
    for (int64_t k = 0; k < wide; k++)
        re[k] = im[k] = 0;
    for (; whole < rows; whole++) {
        const int64_t start = (int64_t)((double)(row + whole) * period + 0.5);
        if (start + wide > sums->count)
            break;
        const float *from_re = sums->re + start, *from_im = sums->im + start;
        for (int64_t k = 0; k < wide; k++) {
            re[k] += from_re[k];
            im[k] += from_im[k];
        }
    }
    return whole;
}

/* Sums of values up to each place, the first none: of CHAINS parts at once, for each waits for the one before it. */
WIDE static void run_up(const float* values, int64_t count, float* sums)
{
    const int64_t part = count / CHAINS;
    float at[CHAINS] = {0}, before = 0;
    for (int64_t k = 0; k < part; k++)
        for (int n = 0; n < CHAINS; n++) {
            sums[n * part + k] = at[n];
            at[n] += values[n * part + k];
        }
    for (int n = 0; n < CHAINS; n++) {
        for (int64_t k = 0; n > 0 && k < part; k++)
            sums[n * part + k] += before;
        before += at[n];
    }
    for (int64_t k = CHAINS * part; k < count; k++) {
        sums[k] = before;
        before += values[k];
    }
}

/* How unlikely noise has so clear a window in each of several folds: the logarithm, with a minus. */
static float folded(const struct blocks* sums, double period, int64_t around, int64_t rows, float* room)
{
    const int64_t wide = (int64_t)period;
    if (wide < 3 || around >= wide || wide > sums->count || !(sums->power > 0))
        return 0;
    const int64_t stride = wide + around + 1; /* all of a fold, and its beginning again */
    float *re = room, *im = room + stride, *run_re = room + 2 * stride, *run_im = run_re + stride;
    double together = 0;
    int64_t segments = 0;
    for (int64_t row = 0;;) {
        const int64_t whole = add_rows(sums, period, row, rows, wide, re, im);
        row += whole;
        /* A few rows at the end say little by themselves. */
        if (whole == 0 || (segments > 0 && 2 * whole < rows))
            break;
        memcpy(re + wide, re, (size_t)(around + 1) * sizeof *re);
        memcpy(im + wide, im, (size_t)(around + 1) * sizeof *im);
        run_up(re, stride, run_re);
        run_up(im, stride, run_im);
        /* Noise has the variance of a window of `around`, less that of its share of the whole. */
        const double free = (double)whole * (double)around * (1 - (double)around / (double)wide) * (double)sums->power;
        together += (double)largest(run_re, run_im, wide, around) / free;
        segments++;
        if (whole < rows)
            break;
    }
    if (segments == 0)
        return 0;
    /* Of so many windows, about wide / around of them free of one another, the highest has this mean in noise. */
    const double n = (double)segments, mean = log((double)wide / (double)around) + OVERLAP;
    const double over = together - n * (mean - 1);
    return over > n ? (float)(over - n - n * log(over / n)) : 0;
}

WIDE static void multiply(const float* re, const float* im, int64_t lag, int64_t length, float* out_re, float* out_im)
{
    for (int64_t k = 0; k < length; k++) {
        out_re[k] = re[k + lag] * re[k] + im[k + lag] * im[k];
        out_im[k] = im[k + lag] * re[k] - re[k + lag] * im[k];
    }
}

static float mean_power(const float* re, const float* im, int64_t count)
{
    return (float)(power_sum(re, im, count) / (double)(count > 0 ? count : 1));
}

/* For each lag and ratio: how clearly the product of a signal with itself that much later is there for a part of each
 * period, the ratio of the lag, and not in the rest of it. Minus the logarithm of how likely noise does the same.
 *
 * re, im: [count], the signal; lags, lengths, steps: [number], samples: the lag, how many products of each, and how
 * many of these are one block; ratios: [ratios]; rows: periods that are added up, at most; spread: mean
 * square of the signal's spectrum over its squared mean, by which sums of neighbours have more power; room: [12 * count + 64];
 * out: [number][ratios].
 */
void amrq_folds(const float* re, const float* im, int64_t count, const int32_t* lags, const int32_t* lengths,
                const int32_t* steps, int64_t number, const double* ratios, int64_t some, int64_t rows, float spread,
                float* room, float* out)
{
    float *a = room, *b = room + count, *fine = room + 2 * count, *coarse = room + 4 * count, *rest = room + 6 * count;
    for (int64_t one = 0; one < number; one++) {
        struct blocks levels[2];
        multiply(re, im, lags[one], lengths[one], a, b);
        const float noise = (float)steps[one] * spread * mean_power(a, b, lengths[one]);
        add_up(a, b, lengths[one], steps[one], noise, fine, fine + count, &levels[0]);
        add_up(fine, fine + count, levels[0].count, 3, 3 * noise, coarse, coarse + count, &levels[1]);
        for (int64_t k = 0; k < some; k++) {
            const double prefix = ratios[k] * lags[one] / steps[one], period = (1 + ratios[k]) * lags[one] / steps[one];
            const int64_t size = prefix < 6 ? 1 : 3;
            const int64_t around = (int64_t)(prefix / (double)size + 0.5);
            out[one * some + k] = folded(&levels[size == 3], period / (double)size, around > 1 ? around : 1, rows, rest);
        }
    }
}

/* For each lag: mean squared magnitude of sums of `step` products of a signal with itself that much later, over what
 * they would have if the products were free of one another.
 *
 * re, im: [count]; lags, steps: [number], samples; room: [2 * count]; out: [number].
 */
void amrq_repetitions(const float* re, const float* im, int64_t count, const int32_t* lags, const int32_t* steps,
                      int64_t number, float* room, float* out)
{
    float *a = room, *b = room + count;
    for (int64_t one = 0; one < number; one++) {
        const int64_t step = steps[one], blocks = (count - lags[one]) / step;
        multiply(re, im, lags[one], blocks * step, a, b);
        const double free = power_sum(a, b, blocks * step);
        sum_blocks(a, blocks, step, a); /* each sum takes the place of values that were added up */
        sum_blocks(b, blocks, step, b);
        const double total = power_sum(a, b, blocks);
        out[one] = free > 0 ? (float)(total / free) : 0;
    }
}
