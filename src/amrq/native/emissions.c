/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is measured of an emission: when it is on, how its spectrum's tails fall, mean spectra. amrq.measure computes the
 * same with NumPy. tests/test_native_emissions.py holds one against the other.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

/* Where something is on: the path of most evidence, less a price for each change (Viterbi).
 *
 * evidence: [count], logarithms of likelihood ratios of on to off; on: [count]; room: [2 count] numbers; returns nothing
 * for a count below 1. Between two changes of its sign the evidence speaks for one state: the path changes nowhere else.
 */
void amrq_two_states(const double* evidence, int64_t count, double price, uint8_t* on, double* room)
{
    double* leads = room;
    int64_t* starts = (int64_t*)(room + count);
    int64_t runs = 0;
    double lead = 0;
    for (int64_t n = 0; n < count;) {
        const int positive = evidence[n] > 0;
        double sum = 0;
        starts[runs] = n;
        for (; n < count && (evidence[n] > 0) == positive; n++)
            sum += evidence[n];
        /* All that counts before a run is by how much the best path to on has more than that to off. More than the price
         * is of no use: that path would come from the other state. */
        lead = sum + (lead > price ? price : lead < -price ? -price : lead);
        leads[runs++] = lead;
    }
    int64_t stop = count;
    int state = runs && leads[runs - 1] > 0;
    for (int64_t run = runs - 1; run >= 0; run--) {
        /* A lead above the price says which state a run was in, whatever comes next; others are in the next's. */
        if (leads[run] > price || leads[run] < -price)
            state = leads[run] > 0;
        memset(on + starts[run], state, (size_t)(stop - starts[run]));
        stop = starts[run];
    }
}

/* The nearest values that never rise (isotonic regression: pool adjacent violators).
 *
 * values: [count]; means, counts: [count], of the pools, as many as are returned.
 */
int64_t amrq_falling(const double* values, int64_t count, double* means, int64_t* counts)
{
    int64_t pools = 0;
    for (int64_t n = 0; n < count; n++) {
        double mean = values[n];
        int64_t size = 1;
        while (pools && means[pools - 1] < mean) {
            pools--;
            mean = (mean * (double)size + means[pools] * (double)counts[pools]) / (double)(size + counts[pools]);
            size += counts[pools];
        }
        means[pools] = mean;
        counts[pools++] = size;
    }
    return pools;
}

/* Stretches of samples, each times a window; what is not finite counts as zero.
 *
 * samples: complex; starts: [rows]; window: [length]; out: complex [rows, length].
 */
WIDE void amrq_windowed(const float* samples, const int64_t* starts, int64_t rows, const float* window, int64_t length,
                        float* out)
{
    for (int64_t row = 0; row < rows; row++) {
        const float* from = samples + 2 * starts[row];
        float* to = out + 2 * length * row;
        for (int64_t n = 0; n < length; n++)
            for (int k = 0; k < 2; k++) {
                uint32_t bits;
                memcpy(&bits, from + 2 * n + k, sizeof bits);
                const uint32_t held = (bits & 0x7f800000u) == 0x7f800000u ? 0 : bits;
                float value;
                memcpy(&value, &held, sizeof value);
                to[2 * n + k] = value * window[n];
            }
    }
}

/* Add the power of each row to a sum.
 *
 * spectra: complex [rows, length]; sums: [length].
 */
WIDE void amrq_add_powers(const float* spectra, int64_t rows, int64_t length, double* sums)
{
    for (int64_t row = 0; row < rows; row++) {
        const float* from = spectra + 2 * length * row;
        for (int64_t n = 0; n < length; n++) {
            const double re = from[2 * n], im = from[2 * n + 1];
            sums[n] += re * re + im * im;
        }
    }
}

/* Samples moved in frequency: each times exp(2 pi i cycles n), n its number.
 *
 * samples, out: complex [count].
 */
WIDE void amrq_moved(const float* samples, int64_t count, double cycles, float* out)
{
    enum { SPAN = 64 };
    double re[SPAN], im[SPAN];
    for (int n = 0; n < SPAN; n++) {
        const double turn = 6.283185307179586 * (cycles * n);
        re[n] = cos(turn);
        im[n] = sin(turn);
    }
    for (int64_t first = 0; first < count; first += SPAN) {
        const double whole = cycles * (double)first, turn = 6.283185307179586 * (whole - floor(whole));
        const double c = cos(turn), s = sin(turn);
        const int64_t here = count - first < SPAN ? count - first : SPAN;
        const float* from = samples + 2 * first;
        float* to = out + 2 * first;
        for (int64_t n = 0; n < here; n++) {
            const double x = re[n] * c - im[n] * s, y = re[n] * s + im[n] * c;
            to[2 * n] = (float)(from[2 * n] * x - from[2 * n + 1] * y);
            to[2 * n + 1] = (float)(from[2 * n] * y + from[2 * n + 1] * x);
        }
    }
}

/* Squared magnitudes: complex [count] to [count]. */
WIDE void amrq_squares(const float* values, int64_t count, float* out)
{
    for (int64_t n = 0; n < count; n++)
        out[n] = values[2 * n] * values[2 * n] + values[2 * n + 1] * values[2 * n + 1];
}

/* The largest power of each row: complex [rows, length] to [rows]. */
WIDE void amrq_largest_squares(const float* values, int64_t rows, int64_t length, float* out)
{
    for (int64_t row = 0; row < rows; row++) {
        const float* from = values + 2 * length * row;
        float top = 0;
        for (int64_t n = 0; n < length; n++) {
            const float power = from[2 * n] * from[2 * n] + from[2 * n + 1] * from[2 * n + 1];
            top = power > top ? power : top;
        }
        out[row] = top;
    }
}
