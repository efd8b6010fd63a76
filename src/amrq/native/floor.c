/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The noise floor over frequency, and cells divided by it, as the NumPy code beside the callers makes them;
 * tests/test_native.py holds one against the other.
 */

#include <stddef.h>
#include <stdint.h>

#include "wide.h"

/* Sums that a line through free values needs: number, place, place squared, value, value times place. */
struct moments {
    double n, x, xx, y, xy;
};

/* The line through the free values within a window, at its middle, then a running mean: relative to what is expected.
 *
 * values, otherwise: [bins]; free: [bins], 0 or 1; width: of the window, which grows where few are free; fewest: values
 * that a line needs; room: [5 (bins + 1) + bins] and a byte a bin more, as doubles; out: [bins].
 */
void amrq_local_mean(const double* values, const uint8_t* free, int64_t bins, int64_t width, int64_t fewest,
                     const double* otherwise, double* room, double* out)
{
    struct moments* running = (struct moments*)room;
    double* result = room + 5 * (bins + 1);
    uint8_t* known = (uint8_t*)(result + bins);
    int64_t left = bins;
    running[0] = (struct moments){ 0, 0, 0, 0, 0 };
    for (int64_t k = 0; k < bins; k++) {
        const double place = (double)k - (double)bins / 2;
        struct moments sum = running[k];
        if (free[k]) {
            const double relative = values[k] / otherwise[k];
            sum.n += 1;
            sum.x += place;
            sum.xx += place * place;
            sum.y += relative;
            sum.xy += relative * place;
        }
        running[k + 1] = sum;
        known[k] = 0;
    }
    for (int64_t reach = width / 2 > 1 ? width / 2 : 1;; reach *= 2) {
        const double enough = (double)(fewest < 2 * reach ? fewest : 2 * reach);
        for (int64_t k = 0; k < bins; k++) {
            if (known[k])
                continue;
            const struct moments* low = running + (k > reach ? k - reach : 0);
            const struct moments* high = running + (k + reach + 1 < bins ? k + reach + 1 : bins);
            const double n = high->n - low->n;
            if (n < enough)
                continue;
            const double x = high->x - low->x, xx = high->xx - low->xx, y = high->y - low->y, xy = high->xy - low->xy;
            const double middle = x / n, mean = y / n;
            /* A little less than the steepest line: few values do not make a slope. */
            const double slope = (xy - middle * y) / (xx - middle * x + 0.1 * n * (double)(reach * reach) / 3);
            result[k] = mean + slope * ((double)k - (double)bins / 2 - middle);
            known[k] = 1;
            left--;
        }
        if (!left || reach >= bins)
            break;
    }
    /* Windows are rectangles, so a second pass takes out their corners. */
    double sum = 0, *smooth = room;
    smooth[0] = 0;
    for (int64_t k = 0; k < bins; k++) {
        sum += known[k] ? result[k] : 1;
        smooth[k + 1] = sum;
    }
    const int64_t most = width / 4 > 1 ? width / 4 : 1;
    for (int64_t k = 0; k < bins; k++) {
        int64_t half = k < bins - 1 - k ? k : bins - 1 - k;
        half = half < most ? half : most;
        out[k] = (smooth[k + half + 1] - smooth[k - half]) / (double)(2 * half + 1) * otherwise[k];
    }
}

/* Cells divided by the noise floor, and their sums over tiles.
 *
 * frames: [rows, bins]; inverse: [bins], of the floor; gains: [rows] or NULL, by which cells are divided, too; left_out:
 * [rows], not 0 for rows that count as noise, of 1; the first two and the last bin are 1 in all rows.
 * cells: [rows, bins]; sums: over tiles of two rows, and of two bins if `wide`: [rows / 2, bins] or [rows / 2, bins / 2].
 */
WIDE void amrq_whiten(const float* restrict frames, int64_t rows, int64_t bins, const float* restrict inverse,
                      const float* gains, const uint8_t* left_out, float* restrict cells, int wide,
                      float* restrict sums)
{
    for (int64_t row = 0; row < rows; row++) {
        const float* from = frames + row * bins;
        float* to = cells + row * bins;
        if (left_out[row]) {
            for (int64_t k = 0; k < bins; k++)
                to[k] = 1;
        } else if (gains) {
            for (int64_t k = 0; k < bins; k++)
                to[k] = from[k] * inverse[k] / gains[row];
        } else {
            for (int64_t k = 0; k < bins; k++)
                to[k] = from[k] * inverse[k];
        }
        to[0] = to[1] = to[bins - 1] = 1;
        if (!(row & 1))
            continue;
        const float* before = to - bins;
        if (wide) {
            float* tile = sums + row / 2 * (bins / 2);
            for (int64_t k = 0; k < bins / 2; k++)
                tile[k] = (before[2 * k] + to[2 * k]) + (before[2 * k + 1] + to[2 * k + 1]);
        } else {
            float* tile = sums + row / 2 * bins;
            for (int64_t k = 0; k < bins; k++)
                tile[k] = before[k] + to[k];
        }
    }
}
