/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Spectra of a channel's blocks, compared with those of a pulse: what amrq.receive.pulse computes with NumPy.
 * tests/test_native_lines.py holds one against the other. Every block is computed by itself.
 */

#include <math.h>
#include <stdint.h>

#include "wide.h"

#define MOST_BINS 4096
#define WIDTH 64 /* pulses that are compared side by side */

/* Power of blocks' spectra under a Hann window, lowest frequency first, and its means over cells.
 *
 * spectra: complex [blocks, bins], in the order of an FFT; most: that a bin counts; edges: [cells + 1], first bins of
 * cells, rising, the last one at most `bins`; powers: [blocks, bins]; means: [blocks, cells].
 */
WIDE void amrq_hann_powers(const float* spectra, int64_t blocks, int64_t bins, float most, const int64_t* edges,
                           int64_t cells, float* powers, double* means)
{
    float row[2 * MOST_BINS];
    for (int64_t block = 0; block < blocks; block++) {
        const float* from = spectra + 2 * bins * block;
        float* to = powers + bins * block;
        for (int64_t k = 0; k < bins; k++) {
            row[k] = from[bins + k];
            row[bins + k] = from[k];
        }
        to[0] = to[bins - 1] = 0;
        for (int64_t k = 1; k < bins - 1; k++) {
            const float re = row[2 * k] - 0.5f * (row[2 * k - 2] + row[2 * k + 2]);
            const float im = row[2 * k + 1] - 0.5f * (row[2 * k - 1] + row[2 * k + 3]);
            const float power = re * re + im * im;
            to[k] = power < most ? power : most;
        }
        for (int64_t cell = 0; cell < cells; cell++) {
            double sum = 0;
            for (int64_t k = edges[cell]; k < edges[cell + 1]; k++)
                sum += to[k];
            means[cells * block + cell] = sum / (double)(edges[cell + 1] - edges[cell]);
        }
    }
}

/* The likeliest place of a pulse in each block.
 *
 * powers: [blocks, bins], of which `width` from `first` on are compared; inverse: [places, width]; log: [places];
 * weight: [width]; compared: bins that count; found: [blocks, 5], the place, the log likelihood before it, there and
 * after it (its own at the ends), and that of noise.
 */
WIDE void amrq_pulse_places(const float* powers, int64_t blocks, int64_t bins, int64_t first, int64_t width,
                            const float* inverse, const float* log, const float* weight, int64_t places, double compared,
                            double* found)
{
    double likelihood[256];
    for (int64_t block = 0; block < blocks; block++) {
        const float* near = powers + bins * block + first;
        int64_t peak = 0;
        for (int64_t place = 0; place <= places; place++) {
            const float* by = place < places ? inverse + width * place : weight;
            float sum[16] = { 0 }, all = 0;
            int64_t k = 0;
            for (; k + 16 <= width; k += 16)
                for (int lane = 0; lane < 16; lane++)
                    sum[lane] += by[k + lane] * near[k + lane];
            for (; k < width; k++)
                all += by[k] * near[k];
            for (int lane = 0; lane < 16; lane++)
                all += sum[lane];
            const double value = -compared * logf(all > 1e-37f ? all : 1e-37f);
            if (place == places) {
                found[5 * block + 4] = value;
                break;
            }
            likelihood[place] = value - (double)log[place];
            peak = likelihood[place] > likelihood[peak] ? place : peak;
        }
        found[5 * block] = (double)peak;
        for (int64_t k = -1; k <= 1; k++) {
            const int64_t place = peak + k < 0 || peak + k >= places ? peak : peak + k;
            found[5 * block + 2 + k] = likelihood[place];
        }
    }
}

/* The log likelihood of each pulse by a spectrum's cells, at its likeliest noise level, and which level that is.
 *
 * power: weighed, over the cells that count, [cells]; inverse: of the models' spectra, [levels, cells, pulses]; means:
 * geometric ones of these spectra, [levels, pulses]; counted: cells that count; best, level: [pulses].
 */
WIDE void amrq_pulse_likelihoods(const float* power, int64_t cells, const float* inverse, const float* means,
                                 int64_t levels, int64_t pulses, float counted, float* best, int64_t* level)
{
    for (int64_t first = 0; first < pulses; first += WIDTH) {
        const int64_t held = pulses - first < WIDTH ? pulses - first : WIDTH;
        float least[WIDTH];
        int32_t which[WIDTH] = { 0 };
        for (int64_t n = 0; n < levels; n++) {
            float scale[WIDTH] = { 0 };
            const float* model = inverse + cells * pulses * n + first;
            const float* mean = means + pulses * n + first;
            if (held == WIDTH)
                for (int64_t k = 0; k < cells; k++, model += pulses)
                    for (int pulse = 0; pulse < WIDTH; pulse++)
                        scale[pulse] += model[pulse] * power[k];
            else
                for (int64_t k = 0; k < cells; k++, model += pulses)
                    for (int pulse = 0; pulse < held; pulse++)
                        scale[pulse] += model[pulse] * power[k];
            for (int pulse = 0; pulse < held; pulse++) {
                scale[pulse] *= mean[pulse];
                const int less = !n || scale[pulse] < least[pulse];
                least[pulse] = less ? scale[pulse] : least[pulse];
                which[pulse] = less ? (int32_t)n : which[pulse];
            }
        }
        for (int pulse = 0; pulse < held; pulse++) {
            best[first + pulse] = -counted * logf(least[pulse] / counted);
            level[first + pulse] = which[pulse];
        }
    }
}
