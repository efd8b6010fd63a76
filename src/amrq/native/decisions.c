/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where a class changes among the chunks of a decision: what amrq.decision.DecisionMaker computes with NumPy.
 * tests/test_native_decisions.py holds one against the other.
 */

#include <stdint.h>
#include <string.h>

#include "wide.h"

#define INLINE __attribute__((always_inline)) static inline
#define MOST 1024
#define LANES 16

/* The largest of `columns` values; those up to a multiple of LANES are small. */
INLINE float largest(const float* values, int64_t wide)
{
    float best[LANES], top;
    memcpy(best, values, sizeof best);
    for (int64_t k = LANES; k < wide; k += LANES)
        for (int j = 0; j < LANES; j++)
            best[j] = values[k + j] > best[j] ? values[k + j] : best[j];
    top = best[0];
    for (int j = 1; j < LANES; j++)
        top = best[j] > top ? best[j] : top;
    return top;
}

/* The best place to split each set of rows in two, each of which has its own best column.
 *
 * rows: [sets, count, columns], up to 1,024 columns. places: the number of rows before the split, 1 to count - 1;
 * gains: by how much the two sums of the best columns exceed that of one column for all; sums: [sets, columns].
 */
WIDE void amrq_decision_splits(const float* rows, int64_t sets, int64_t count, int64_t columns, int64_t* places,
                               float* gains, float* sums)
{
    const int64_t wide = (columns + LANES - 1) / LANES * LANES;
    float whole[MOST], before[MOST], after[MOST];
    for (int64_t set = 0; set < sets; set++, rows += count * columns, sums += columns) {
        for (int64_t k = 0; k < wide; k++)
            whole[k] = before[k] = after[k] = k < columns ? 0 : -1e30f;
        for (int64_t n = 0; n < count; n++)
            for (int64_t k = 0; k < columns; k++)
                whole[k] += rows[columns * n + k];
        float best = -1e30f;
        int64_t place = 0;
        for (int64_t n = 0; n + 1 < count; n++) {
            for (int64_t k = 0; k < columns; k++) {
                before[k] += rows[columns * n + k];
                after[k] = whole[k] - before[k];
            }
            const float split = largest(before, wide) + largest(after, wide);
            if (split > best) {
                best = split;
                place = n + 1;
            }
        }
        places[set] = place;
        gains[set] = best - largest(whole, wide);
        memcpy(sums, whole, sizeof(float) * (size_t)columns);
    }
}
