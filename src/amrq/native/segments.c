/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is done for each emission and block: its spectrum and envelope out of the cells, and their edges. Each function
 * does what the NumPy code beside its caller does; tests/test_native_segments.py holds one against the other.
 *
 * Cells are float [rows, bins], row after row, without gaps; spectra and envelopes are double.
 */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wide.h"

#define LANES 8

/* Sum of the rows from first to before last, for each bin from left to before right. */
WIDE static void over_rows(const float* cells, int64_t bins, int64_t first, int64_t last, int64_t left, int64_t right,
                           double* restrict out)
{
    const int64_t width = right - left;
    for (int64_t k = 0; k < width; k++)
        out[k] = 0;
    for (int64_t row = first; row < last; row++) {
        const float* from = cells + row * bins + left;
        for (int64_t k = 0; k < width; k++)
            out[k] += from[k];
    }
}

/* Sum of the bins from left to before right, of one row. */
WIDE static double over_bins(const float* from, int64_t width)
{
    double sum[LANES] = { 0 };
    int64_t k = 0;
    for (; k + LANES <= width; k += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sum[lane] += from[k + lane];
    for (; k < width; k++)
        sum[0] += from[k];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* Sums of a rectangle of cells, in double: over its rows for each bin, or over its bins for each row.
 *
 * cells: [rows, bins]; out: [right - left] if by_bin, otherwise [last - first].
 */
void amrq_box_sums(const float* cells, int64_t bins, int64_t first, int64_t last, int64_t left, int64_t right, int by_bin,
                   double* out)
{
    if (by_bin) {
        over_rows(cells, bins, first, last, left, right, out);
        return;
    }
    for (int64_t row = first; row < last; row++)
        out[row - first] = over_bins(cells + row * bins + left, right - left);
}

static double largest(const double* values, int64_t count, double least)
{
    for (int64_t k = 0; k < count; k++)
        least = values[k] > least ? values[k] : least;
    return least;
}

static double mean(const double* values, int64_t count)
{
    double sum = 0;
    for (int64_t k = 0; k < count; k++)
        sum += values[k];
    return sum / (double)count;
}

/* Mean of `width` values about each, where the first and the last value go on beyond the ends. */
static void smoothed(const double* values, int64_t count, int64_t width, double* restrict out)
{
    if (width <= 1) {
        memcpy(out, values, sizeof *out * (size_t)count);
        return;
    }
    const int64_t before = width / 2;
    double sum = 0;
    for (int64_t k = -before; k < width - before; k++)
        sum += values[k < 0 ? 0 : k < count ? k : count - 1];
    sum /= (double)width;
    out[0] = sum;
    for (int64_t k = 1; k < count; k++) {
        const int64_t next = k - before + width - 1, old = k - 1 - before;
        sum += (values[next < count ? next : count - 1] - values[old < 0 ? 0 : old]) / (double)width;
        out[k] = sum;
    }
}

/* The first label of those that a label is joined with. */
static int32_t root(int32_t* joined, int32_t label)
{
    while (joined[label] != label)
        label = joined[label] = joined[joined[label]];
    return label;
}

/* Number the connected parts of a mask, diagonals included, in the order of their first cells.
 *
 * mask: [rows, columns]; labels: [rows, columns], 0 outside; joined: room for a number for each 2 x 2 cells, those at
 * the sides as well, and one more; boxes: as many rows of 4: first and last (exclusive) row and column of each part.
 * Returns how many parts there are.
 */
int64_t amrq_label(const uint8_t* mask, int64_t rows, int64_t columns, int32_t* labels, int32_t* joined, int32_t* boxes)
{
    int32_t count = 0, parts = 0;
    joined[0] = 0;
    for (int64_t row = 0; row < rows; row++) {
        const uint8_t* here = mask + row * columns;
        int32_t *to = labels + row * columns, *above = row ? to - columns : NULL;
        for (int64_t k = 0; k < columns; k++) {
            if (!here[k]) {
                to[k] = 0;
                continue;
            }
            const int32_t before = k ? to[k - 1] : 0, up = above ? above[k] : 0;
            const int32_t left = above && k ? above[k - 1] : 0, right = above && k + 1 < columns ? above[k + 1] : 0;
            /* What is above touches both beside it; what is before touches what is above that. */
            int32_t own = up ? up : before ? before : left;
            if (!up && right) {
                if (own) {
                    const int32_t a = root(joined, own), b = root(joined, right);
                    joined[a < b ? b : a] = a < b ? a : b;
                } else {
                    own = right;
                }
            }
            if (!own) {
                own = ++count;
                joined[own] = own;
            }
            to[k] = own;
        }
    }
    /* What a label is joined with comes before it, and is the (negative) number of a part already. */
    for (int32_t label = 1; label <= count; label++) {
        const int32_t first = joined[label];
        if (first == label) {
            int32_t* box = boxes + 4 * parts;
            box[0] = (int32_t)rows;
            box[1] = box[3] = 0;
            box[2] = (int32_t)columns;
            joined[label] = -(++parts);
        } else {
            joined[label] = joined[first];
        }
    }
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; k < columns; k++) {
            int32_t* label = labels + row * columns + k;
            if (!*label)
                continue;
            *label = -joined[*label];
            int32_t* box = boxes + 4 * (*label - 1);
            box[0] = row < box[0] ? (int32_t)row : box[0];
            box[1] = (int32_t)row + 1;
            box[2] = k < box[2] ? (int32_t)k : box[2];
            box[3] = k >= box[3] ? (int32_t)k + 1 : box[3];
        }
    return parts;
}

/* Where lobes go. */
struct lobes {
    int32_t* places; /* [most, 2]: first and last (exclusive) bin */
    int64_t most, count;
};

/* Split an interval of a spectrum at its valleys. room: as long as the spectrum. */
static void split(const double* smooth, double error, double valley, int64_t a, int64_t b, int64_t width, double* room,
                  struct lobes* found)
{
    while (b - a >= 2 * width + 3) {
        const int64_t count = b - a;
        const double* part = smooth + a;
        double top = part[count - 1], best = -1, level = 0;
        int64_t at = 0;
        for (int64_t k = count - 1; k >= 0; k--) {
            top = part[k] > top ? part[k] : top;
            room[k] = top;
        }
        top = part[0];
        for (int64_t k = 0; k < count; k++) {
            top = part[k] > top ? part[k] : top;
            const double lower = top < room[k] ? top : room[k];
            const double depth = lower / (part[k] > error ? part[k] : error);
            if (depth > best) {
                best = depth;
                level = lower;
                at = k;
            }
        }
        if (best < valley || level < 8 * error)
            break;
        split(smooth, error, valley, a, a + at, width, room, found);
        a += at;
    }
    if (found->count < found->most) {
        found->places[2 * found->count] = (int32_t)a;
        found->places[2 * found->count + 1] = (int32_t)b;
    }
    found->count++;
}

/* The lobes of a mean spectrum. spectrum: [count]; sigma: its standard deviation in noise; room: [2 count]. */
static void find_lobes(const double* spectrum, int64_t count, double sigma, double steady_cells, double valley,
                       double* room, struct lobes* found)
{
    double *smooth = room, *other = room + count, error;
    int64_t width = 1;
    for (;;) {
        smoothed(spectrum, count, width, smooth);
        const double cells = (double)width / 1.5;
        error = sigma / sqrt(cells > 1 ? cells : 1);
        if (largest(smooth, count, 0) > 7 * error || 4 * width > count)
            break;
        width = 2 * width + 1;
    }
    const double wanted = ceil(steady_cells * sigma * sigma);
    int64_t steady = count / 3 > 1 ? count / 3 : 1;
    if (wanted < (double)steady) {
        const int64_t odd = (int64_t)wanted | 1;
        steady = odd < steady ? odd : steady;
    }
    if (steady > width) {
        width = steady;
        smoothed(spectrum, count, width, smooth);
        error = sigma / sqrt((double)width / 1.5);
    }
    const int64_t gap = width / 2 > 1 ? width / 2 : 1;
    const double over = 3 * error;
    /* Bins that stand out are marked before the spectrum may be smoothed again. */
    for (int64_t k = 0; k < count; k++)
        other[k] = smooth[k] > over;
    double error_here = error;
    if (width < 3) {
        smoothed(spectrum, count, 3, smooth);
        error_here = sigma / sqrt(2.0);
    }
    int64_t a = -1, b = -1;
    double* lower = other; /* the marks up to b are read before they are written over */
    for (int64_t k = 0; k <= count; k++) {
        const int on = k < count && other[k] != 0;
        if (on) {
            if (a < 0) {
                a = k;
            } else if (k != b && k - b > gap) {
                if (largest(smooth + a, b - a, -DBL_MAX) > 4.5 * error_here)
                    split(smooth, error_here, valley, a, b, width, lower, found);
                a = k;
            }
            b = k + 1;
        }
    }
    if (a >= 0 && largest(smooth + a, b - a, -DBL_MAX) > 4.5 * error_here)
        split(smooth, error_here, valley, a, b, width, lower, found);
}

/* The intervals of bins in which the spectrum of some rows stands out, relative to bin 0.
 *
 * cells: [rows, bins], rows from first to before last, bins from left to before right; sigma: standard deviation of the
 * mean spectrum in noise; steady_cells: cells that are averaged before valleys are looked for; valley: ratio of both
 * sides to a valley that splits them; places: [most, 2]. Returns how many there are; -1 without memory.
 */
int64_t amrq_cores(const float* cells, int64_t bins, int64_t first, int64_t last, int64_t left, int64_t right,
                   double sigma, double steady_cells, double valley, int32_t* places, int64_t most)
{
    const int64_t count = right - left;
    double* spectrum = malloc(sizeof *spectrum * 3 * (size_t)(count + 1));
    struct lobes found = { places, most, 0 };
    if (!spectrum)
        return -1;
    over_rows(cells, bins, first, last, left, right, spectrum);
    for (int64_t k = 0; k < count; k++)
        spectrum[k] = spectrum[k] / (double)(last - first) - 1;
    if (count)
        find_lobes(spectrum, count, sigma, steady_cells, valley, spectrum + count, &found);
    free(spectrum);
    for (int64_t k = 0; k < 2 * (found.count < most ? found.count : most); k++)
        places[k] += (int32_t)left;
    return found.count;
}

/* The frames [first, last) that an emission lasts: the stretch with the greatest sum over half its mean. */
static void on_time(const double* envelope, int64_t count, int64_t* first, int64_t* last)
{
    double level = largest(envelope, count, 0) / 2;
    *first = 0;
    *last = count;
    for (int round = 0; round < 6; round++) {
        double sum = 0, lowest = 0, best = 0;
        int64_t start = 0, stop = 0, low = 0;
        for (int64_t k = 0; k < count; k++) {
            sum += envelope[k] - level / 2;
            if (sum < lowest) {
                lowest = sum;
                low = k + 1;
            }
            if (sum - lowest > best) {
                best = sum - lowest;
                stop = k + 1;
                start = low;
            }
        }
        if ((start == *first && stop == *last) || stop <= start)
            break;
        *first = start;
        *last = stop;
        level = mean(envelope + start, stop - start);
    }
}

/* The part of a stretch with most power, where it is silent for `length` frames and more in between. */
static int unbroken(const double* envelope, int64_t* start, int64_t* stop, int64_t length, double error)
{
    const int64_t count = *stop - *start;
    if (count < length + 4 || length < 3)
        return 0;
    const double *part = envelope + *start, level = mean(part, count);
    if (level < 10 * error)
        return 0;
    double* smooth = malloc(sizeof *smooth * (size_t)count);
    if (!smooth)
        return -1;
    smoothed(part, count, length, smooth);
    int64_t middle = length / 2;
    for (int64_t k = middle; k < count - (length - length / 2) + 1; k++)
        middle = smooth[k] < smooth[middle] ? k : middle;
    const double silent = smooth[middle];
    free(smooth);
    if (silent > 0.1 * level)
        return 0;
    int64_t first = middle, last = middle + 1;
    while (first > 0 && part[first - 1] < 0.5 * level)
        first--;
    while (last < count && part[last] < 0.5 * level)
        last++;
    double before = 0, after = 0;
    for (int64_t k = 0; k < first; k++)
        before += part[k];
    for (int64_t k = last; k < count; k++)
        after += part[k];
    if (before > after)
        *stop = *start + first;
    else
        *start += last;
    return 0;
}

/* Start and stop in frames with fractions, where an envelope crosses half of its level. */
static void crossing(const double* envelope, int64_t count, int64_t first, int64_t last, double* start, double* stop)
{
    const double level = mean(envelope + first, last - first) / 2;
    *start = (double)first;
    *stop = (double)(last - 1);
    if (first > 0) {
        const double in = envelope[first], out = envelope[first - 1];
        *start = (double)first - (in > level && level > out ? (in - level) / (in - out) : 0.5);
    }
    if (last < count) {
        const double in = envelope[last - 1], out = envelope[last];
        *stop = in > level && level > out ? (double)(last - 1) + (in - level) / (in - out) : (double)last - 0.5;
    }
}

/* When the power in some bins is on.
 *
 * cells: [rows, bins], rows from first to before last, bins from left to before right; length: rows of silence that end
 * an emission; error: standard deviation of the mean of so many rows. when: start and stop in whole rows, relative to
 * first; edges: start and stop where half of the level is crossed, likewise, and the mean excess in between.
 * Returns 1 if there is any power, 0 if none; -1 without memory.
 */
int64_t amrq_when_on(const float* cells, int64_t bins, int64_t first, int64_t last, int64_t left, int64_t right,
                     int64_t length, double error, int64_t* when, double* edges)
{
    const int64_t count = last - first;
    double* envelope = malloc(sizeof *envelope * (size_t)(count + 1));
    if (!envelope)
        return -1;
    for (int64_t row = 0; row < count; row++)
        envelope[row] = over_bins(cells + (first + row) * bins + left, right - left) / (double)(right - left) - 1;
    on_time(envelope, count, when, when + 1);
    int64_t found = when[1] > when[0];
    if (found && unbroken(envelope, when, when + 1, length, error) < 0)
        found = -1;
    if (found > 0) {
        crossing(envelope, count, when[0], when[1], edges, edges + 1);
        edges[2] = mean(envelope + when[0], when[1] - when[0]);
    }
    free(envelope);
    return found;
}

/* Where a rising cumulated power, of count + 1 values from 0 on, reaches a share, in bins with fractions. */
static double reaches(const double* power, int64_t count, double total, double share)
{
    int64_t low = 0, high = count; /* power[low] / total <= share < power[high] / total */
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (power[middle] / total <= share)
            low = middle;
        else
            high = middle;
    }
    const double a = power[low] / total, b = power[high] / total;
    return 1 / (b - a) * (share - a) + (double)low; /* in the order of np.interp, to the same bit */
}

/* Edges of a share of the power, in bins with fractions. spectrum: [count], at least one, excess over the noise;
 * sharp: share of the width and bins that sharp edges have at most; edges: lower, upper, power. -1 without memory. */
int64_t amrq_occupied(const double* spectrum, int64_t count, double share, double sharp_share, double sharp_bins,
                      double* edges)
{
    double* power = malloc(sizeof *power * (size_t)(count + 1));
    if (!power)
        return -1;
    double sum = 0;
    power[0] = 0;
    for (int64_t k = 0; k < count; k++) {
        sum += spectrum[k];
        power[k + 1] = sum > power[k] ? sum : power[k];
    }
    const double total = power[count], tail = (1 - share) / 2;
    edges[0] = 0;
    edges[1] = (double)count;
    edges[2] = 0;
    if (total > 0) {
        const double low = reaches(power, count, total, tail), high = reaches(power, count, total, 1 - tail);
        const double inner = reaches(power, count, total, 0.95) - reaches(power, count, total, 0.05);
        const double width = high - low, most = sharp_share * width < sharp_bins ? sharp_share * width : sharp_bins;
        double spread = 0;
        if (width - inner < most) {
            spread = 1.45 - width / 20;
            spread = spread < 0 ? 0 : spread > 1 ? 1 : spread;
            spread = spread < 0.34 * width ? spread : 0.34 * width;
        }
        edges[0] = low + spread;
        edges[1] = high - spread;
        edges[2] = total;
    }
    free(power);
    return 0;
}

/* How many bins outward from a core still hold power: where their sum stands out most from its error.
 *
 * excess: of the first bin outward; step: 1 or -1, to the next one outward; count: of these bins; sigma: standard
 * deviation of a bin in noise; doubt: by which each may be wrong, all alike; small: error that does not matter.
 */
int64_t amrq_reach(const double* excess, int64_t step, int64_t count, double sigma, double doubt, double small)
{
    double sum = 0, most = -DBL_MAX;
    int64_t best = 0, safe = 0;
    for (int64_t k = 0; k < count; k++) {
        const double number = (double)(k + 1), spread = sigma * sqrt(1.9 * number);
        sum += excess[k * step];
        const double gain = sum - 2.5 * spread - doubt * number;
        if (gain > most) {
            most = gain;
            best = k;
        }
        safe += 2 * spread + doubt * number < small;
    }
    best = most > 0 ? best + 1 : 0;
    return best > safe ? best : safe;
}

/* Whether the excess over some bins, in the row with most, is more than a limit.
 *
 * cells: [rows, bins]; places: [count, 4]: first and last (exclusive) row and bin; limits: [count], below 0 where it is
 * in any case; over: [count].
 */
void amrq_exceed(const float* cells, int64_t bins, const int64_t* places, const double* limits, int64_t count,
                 uint8_t* over)
{
    for (int64_t k = 0; k < count; k++) {
        const int64_t *place = places + 4 * k, left = place[2], width = place[3] - place[2];
        over[k] = limits[k] < 0;
        for (int64_t row = place[0]; row < place[1] && !over[k]; row++)
            over[k] = over_bins(cells + row * bins + left, width) - (double)width > limits[k];
    }
}

/* Compare the power in some bins with that at the opposite frequencies, bin k with bin N - k.
 *
 * cells: [rows, bins], rows from first to before last, bins from left to before right, and as many up to before
 * `opposite`, downwards. share: of the opposite power that explains power here.
 * sums: of the mean excess here, at the opposite place, and of what that explains. Returns -1 without memory.
 */
int64_t amrq_mirrored(const float* cells, int64_t bins, int64_t first, int64_t last, int64_t left, int64_t right,
                      int64_t opposite, double share, double* sums)
{
    const int64_t count = right - left;
    const double rows = (double)(last - first);
    double* own = malloc(sizeof *own * 2 * (size_t)(count + 1));
    if (!own)
        return -1;
    double* other = own + count;
    over_rows(cells, bins, first, last, left, right, own);
    over_rows(cells, bins, first, last, opposite - count, opposite, other);
    memset(sums, 0, 3 * sizeof *sums);
    for (int64_t k = 0; k < count; k++) {
        const double here = own[k] / rows - 1, there = other[count - 1 - k] / rows - 1;
        const double excess = here > 0 ? here : 0, stronger = there > 0 ? there : 0;
        sums[0] += excess;
        sums[1] += stronger;
        sums[2] += excess < share * stronger ? excess : share * stronger;
    }
    free(own);
    return 0;
}
