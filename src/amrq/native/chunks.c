/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a receiver does chunk by chunk: when symbols come, the level and the Es/N0 of 32 of them, the middle of their
 * spectrum (amrq.receive.receiver and bursts), correlations (amrq.receive.equaliser), and where bursts begin and end.
 * tests/test_native_receiver.py holds these against the NumPy code that says the same.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

#define STEP 32
#define MOST_FOURS 512
#define UNKNOWN -1000.0 /* a number that is not known */

double amrq_correlation(const float* symbols, int64_t count, int64_t most);

/* The clock where the next block begins, and the number of the next symbol. */
struct clock_now {
    double phase;
    int64_t number, block;
};

/* Channel samples at which symbols come in blocks, by the blocks' clocks: phases in cycles at their first sample, and
 * rates in cycles a sample, [blocks] each. Returns how many symbols those are, `most` at most. */
int64_t amrq_symbol_places(const double* phases, const double* rates, int64_t blocks, int64_t hop, struct clock_now* now,
                           int64_t most, double* places)
{
    int64_t count = 0;
    for (int64_t n = 0; n < blocks; n++, now->block++) {
        /* Of the whole turns that a phase does not tell, those that go on from the clock before. */
        const double phase = phases[n] + (now->block ? rint(now->phase - phases[n]) : 0);
        const double stop = phase + rates[n] * (double)hop, begin = (double)(now->block * hop);
        const int64_t last = (int64_t)ceil(stop);
        for (; now->number < last && count < most; now->number++)
            places[count++] = ((double)now->number - phase) / rates[n] + begin;
        now->phase = stop;
    }
    return count;
}

struct level_limits {
    double span, change, burst; /* channel samples of a value of the power; of the power, for another level */
    int64_t long_mean, short_mean, memory;
    /* Of a block, samples that are kept and bins; noise that passes the filter, in bins; bins of a symbol rate; least Es/N0
     * that is reported, and by what a mean of one symbol's noise exceeds it. */
    double hop, bins, passed, rate, least, uncertain;
};

/* The level of the last chunks, and of how many it is the mean; whether a burst begins next, or has just ended. */
struct level_now {
    double level;
    int64_t levels, begins, ended;
};

/* Mean of those of `count` values from `first` on that there are, added up as NumPy does. */
static double mean_of(const double* power, int64_t there, int64_t first, int64_t count)
{
    double value[8] = { 0 };
    int64_t known = 0;
    for (int64_t k = 0; k < count; k++)
        if (first + k >= 0 && first + k < there) {
            value[k] = power[first + k];
            known++;
        }
    const double near = count < 8 ? value[0] + value[1] + value[2] : (value[0] + value[1]) + (value[2] + value[3]);
    const double far = count < 8 ? value[3] : (value[4] + value[5]) + (value[6] + value[7]);
    return (near + far) / (double)(known > 1 ? known : 1);
}

/* Levels of chunks, the numbers of chunks that they are means of, borders of bursts, and Es/N0 as a ratio.
 *
 * ends: channel samples of the first and the last symbol of each, [chunks, 2]; power: in the channel, a value each span
 * from number `first` on, [there]; noises: power of a bin in blocks, from the first one on, -1 where it is not known;
 * found: level, number and Es/N0 of each chunk, -1 where that is not known, [3, chunks].
 */
void amrq_chunk_levels(const double* ends, int64_t chunks, const double* power, int64_t there, int64_t first,
                       const double* noises, int64_t blocks, int64_t first_block, const struct level_limits* limits,
                       struct level_now* now, double* found, uint8_t* borders)
{
    for (int64_t n = 0; n < chunks; n++) {
        const int64_t begin = (int64_t)floor(ends[2 * n] / limits->span) - first;
        const int64_t end = (int64_t)floor(ends[2 * n + 1] / limits->span) - first + 1;
        const double coming = mean_of(power, there, begin, limits->long_mean);
        const double gone = mean_of(power, there, end - limits->long_mean, limits->long_mean);
        const double own = mean_of(power, there, end - limits->short_mean, limits->short_mean);
        const double present = coming > gone ? coming : gone, over = coming > own ? coming : own;
        int border = now->begins != 0;
        const int ended = now->ended != 0;
        now->begins = now->ended = 0;
        if (over * limits->burst < now->level) { /* a burst has ended: what is gone is its */
            border |= !ended;
            now->ended = 1;
            now->level = over;
            now->levels = 1;
        } else if (present > limits->change * now->level || present < now->level / limits->change) {
            if (present > limits->burst * now->level && now->level > 0) { /* it may begin in the next chunk only */
                now->begins = own < limits->burst * now->level;
                border |= !now->begins;
            }
            now->level = present;
            now->levels = 2;
        } else {
            now->levels = now->levels < limits->memory ? now->levels + 1 : limits->memory;
            now->level += (gone - now->level) / (double)now->levels;
        }
        found[n] = now->level;
        found[chunks + n] = (double)now->levels;
        borders[n] = (uint8_t)border;
        const double place = floor(ends[2 * n + 1] / limits->hop);
        int64_t block = (place > 0 ? (int64_t)place : 0) - first_block;
        block = block < 0 ? 0 : block < blocks ? block : blocks - 1;
        found[2 * chunks + n] = UNKNOWN;
        if (!blocks || noises[block] < 0)
            continue;
        const double density = noises[block] / (limits->bins * limits->bins);
        const double share = (now->level - density * limits->passed) / (density * limits->rate);
        const double least = limits->uncertain / sqrt(STEP * (double)now->levels);
        if (share > (least > limits->least ? least : limits->least))
            found[2 * chunks + n] = 10 * log10(share);
    }
}

/* The middle of the spectrum in blocks, and those before, cycles/symbol; UNKNOWN where two measures of it do not agree.
 *
 * turns: of blocks: what turns by the middle in two samples, and by its edges in eight, complex [2, blocks]; chunks: number
 * of the block of each of `count` chunks; scale: samples a symbol / 2 pi; agree, clear: see amrq.receive.bursts.
 */
void amrq_chunk_middles(const double* turns, int64_t blocks, const int64_t* chunks, int64_t count, int64_t span,
                        int64_t least, double scale, double agree, double clear, double* found)
{
    for (int64_t n = 0; n < count; n++) {
        if (n && chunks[n] == chunks[n - 1]) {
            found[n] = found[n - 1];
            continue;
        }
        const int64_t first = chunks[n] > span ? chunks[n] - span : 0;
        int64_t stop = chunks[n] + 1 > least ? chunks[n] + 1 : least;
        stop = stop < blocks ? stop : blocks;
        double sums[4] = { 0 }, size = 0;
        for (int64_t k = first; k < stop; k++) {
            const double *both = turns + 2 * k, *edge = turns + 2 * (blocks + k);
            sums[0] += both[0];
            sums[1] += both[1];
            sums[2] += edge[0];
            sums[3] += edge[1];
            size += hypot(edge[0], edge[1]);
        }
        const double whole = atan2(sums[1], sums[0]) * scale / 2, edges = atan2(sums[3], sums[2]) * scale / 8;
        const int known = hypot(sums[2], sums[3]) > clear * size && fabs(whole - edges) < agree;
        found[n] = known ? (whole + edges) / 2 : UNKNOWN;
    }
}

/* The correlation of the symbols before each of some ends, as many as `lengths` say: see amrq_correlation. */
void amrq_correlations(const float* symbols, const int64_t* ends, const int64_t* lengths, int64_t count, int64_t most,
                       double* found)
{
    for (int64_t n = 0; n < count; n++)
        found[n] = amrq_correlation(symbols + 2 * (ends[n] - lengths[n]), lengths[n], most);
}

struct burst_limits {
    int64_t block, learnt, shortest, longest; /* frames: handled together, that the noise is learnt from; of a burst */
    double quantile, unbiased, present;
};

/* Frames taken, the one in which a burst has begun, -1 for none; power of the last frame, level of the noise. */
struct burst_now {
    int64_t spent, begun, ahead;
    double last, noise;
};

/* A value of a rank, by Hoare's selection; the values are moved. */
static double ranked(double* values, int64_t count, int64_t rank)
{
    for (int64_t low = 0, high = count - 1; low < high;) {
        const double pivot = values[(low + high) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i <= j) {
                const double held = values[i];
                values[i++] = values[j];
                values[j--] = held;
            }
        }
        if (rank <= j)
            high = j;
        else if (rank >= i)
            low = i;
        else
            break;
    }
    return values[rank];
}

/* The level of the noise by powers of frames: a low quantile of those of four together. */
static double quiet(const double* powers, int64_t count, const struct burst_limits* limits)
{
    double fours[MOST_FOURS];
    const int64_t held = count / 4;
    for (int64_t n = 0; n < held; n++)
        fours[n] = (powers[4 * n] + powers[4 * n + 1] + powers[4 * n + 2] + powers[4 * n + 3]) / 4;
    const double place = limits->quantile * (double)(held - 1);
    const int64_t low = (int64_t)place;
    const double near = ranked(fours, held, low);
    double far = near;
    for (int64_t n = low + 1; n < held; n++) /* after the selection none of them is smaller */
        far = n == low + 1 || fours[n] < far ? fours[n] : far;
    return limits->unbiased * (near + (far - near) * (place - (double)low));
}

/* Take blocks of frames whose powers follow those that the noise is learnt from.
 *
 * powers: [before + frames], of which the first `before` are taken; bursts: frames at which those that ended begin and
 * end, [2, most], and the noise then, [most]. Returns how many bursts of a length that counts have ended.
 */
int64_t amrq_burst_frames(const double* powers, int64_t before, int64_t frames, int64_t margin,
                          const struct burst_limits* limits, struct burst_now* now, int64_t most, int64_t* bursts,
                          double* noises)
{
    int64_t found = 0, at = before;
    const int64_t stop = before + frames;
    while (stop - at >= limits->block + now->ahead + margin) {
        const int64_t recent = at < limits->learnt ? at : limits->learnt;
        now->noise = quiet(powers + at - recent, recent + limits->block + now->ahead, limits);
        for (const int64_t end = at + limits->block; at < end; at++) {
            const int present = now->last + powers[at] > 2 * limits->present * now->noise;
            if (present && now->begun < 0) {
                now->begun = now->spent > 0 ? now->spent - 1 : 0;
            } else if (!present && now->begun >= 0) {
                const int64_t length = now->spent - now->begun;
                if (length >= limits->shortest && length <= limits->longest && found < most) {
                    bursts[found] = now->begun;
                    bursts[most + found] = now->spent;
                    noises[found++] = now->noise;
                }
                now->begun = -1;
            }
            now->last = powers[at];
            now->spent++;
        }
        now->ahead = now->ahead > limits->block ? now->ahead - limits->block : 0;
    }
    return found;
}

/* The largest of numbers by size, as its bits: what is no number counts as larger than all that are. */
WIDE int32_t amrq_largest_size(const int32_t* parts, int64_t count)
{
    int32_t most[16] = { 0 }, all = 0;
    int64_t k = 0;
    for (; k + 16 <= count; k += 16)
        for (int lane = 0; lane < 16; lane++) {
            const int32_t size = parts[k + lane] & INT32_MAX;
            most[lane] = size > most[lane] ? size : most[lane];
        }
    for (; k < count; k++)
        all = (parts[k] & INT32_MAX) > all ? parts[k] & INT32_MAX : all;
    for (int lane = 0; lane < 16; lane++)
        all = most[lane] > all ? most[lane] : all;
    return all;
}

/* Samples at the ends of the range, complex [count]: of the highest and the lowest value of either part.
 *
 * tops: the largest so far, [4], changed; at, beside: how many samples are at that value, and at the next one below it in
 * these samples, [4] each, changed.
 */
WIDE void amrq_rails(const float* samples, int64_t count, double* tops, double* at, double* beside)
{
    for (int rail = 0; rail < 4; rail++) {
        const float* from = samples + rail / 2;
        const float sign = rail % 2 ? -1 : 1;
        float most[16], top, next = 0;
        for (int lane = 0; lane < 16; lane++)
            most[lane] = sign * from[0];
        int64_t k = 0, many = 0, lower = 0;
        for (; k + 16 <= count; k += 16)
            for (int lane = 0; lane < 16; lane++) {
                const float value = sign * from[2 * (k + lane)];
                most[lane] = value > most[lane] ? value : most[lane];
            }
        top = most[0];
        for (int lane = 1; lane < 16; lane++)
            top = most[lane] > top ? most[lane] : top;
        for (; k < count; k++)
            top = sign * from[2 * k] > top ? sign * from[2 * k] : top;
        if (top > tops[rail] * (1 + 1e-6)) {
            tops[rail] = top;
            at[rail] = beside[rail] = 0;
        }
        const float edge = (float)(tops[rail] * (1 - 1e-6));
        for (int lane = 0; lane < 16; lane++)
            most[lane] = 0;
        for (k = 0; k + 16 <= count; k += 16)
            for (int lane = 0; lane < 16; lane++) {
                const float value = sign * from[2 * (k + lane)], low = value < edge ? value : 0;
                most[lane] = low > most[lane] ? low : most[lane];
            }
        for (int lane = 0; lane < 16; lane++)
            next = most[lane] > next ? most[lane] : next;
        for (; k < count; k++)
            if (sign * from[2 * k] < edge && sign * from[2 * k] > next)
                next = sign * from[2 * k];
        const float least = (float)((double)next * (1 - 1e-6));
        for (k = 0; k < count; k++) {
            const float value = sign * from[2 * k];
            many += value >= edge;
            lower += value >= least && value < edge && value > 0;
        }
        at[rail] += (double)many;
        beside[rail] += (double)lower;
    }
}
