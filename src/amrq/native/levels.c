/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Levels of a keyed frequency: its mean over each symbol, and the distance of so many levels by the mean frequency of
 * symbols and that of their neighbours; a lattice of many levels; slow tones; and lines of its clock.
 * amrq.measure.tone_levels, tone_count, level_likelihood, looks, tone_clock, closed_eye and symbol_clock compute the same
 * with NumPy. tests/test_native_levels.py holds one against the other.
 */

#include <math.h>
#include <stdint.h>

#include "wide.h"

enum { TAPS = 5, SIDE = TAPS / 2, SIZE = TAPS + 1, LANES = 16, BLOCK = 32 * LANES };

static double phase_at(const double* phase, const double* frequency, double place)
{
    const int64_t whole = (int64_t)place;
    return phase[whole] + (place - (double)whole) * frequency[whole];
}

/* The mean frequency over each symbol, for several phases of the clock.
 *
 * phase: sum of the frequency before each sample; frequency: of each sample; step: samples a symbol; away: samples
 * before the first symbol; means: [phases, count].
 */
void amrq_symbol_means(const double* phase, const double* frequency, double step, double away, int64_t count,
                       int64_t phases, double* means)
{
    for (int64_t p = 0; p < phases; p++) {
        const double part = (double)p / (double)phases;
        double before = phase_at(phase, frequency, part * step + away);
        for (int64_t n = 0; n < count; n++) {
            const double here = phase_at(phase, frequency, ((double)(n + 1) + part) * step + away);
            means[p * count + n] = (here - before) / step;
            before = here;
        }
    }
}

static double decided(double value, int64_t top)
{
    const double level = rint(value);
    return level < 0 ? 0 : level > (double)top ? (double)top : level;
}

/* Smallest and largest eigenvalue of a symmetric matrix (Jacobi's rotations). */
static void extremes(const double* matrix, double* least, double* most)
{
    double a[SIZE][SIZE];
    for (int i = 0; i < SIZE * SIZE; i++)
        a[i / SIZE][i % SIZE] = matrix[i];
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0, diagonal = 0;
        for (int i = 0; i < SIZE; i++) {
            diagonal += a[i][i] * a[i][i];
            for (int j = 0; j < i; j++)
                off += a[i][j] * a[i][j];
        }
        if (!(off > 1e-24 * diagonal))
            break;
        for (int p = 0; p < SIZE; p++)
            for (int q = p + 1; q < SIZE; q++) {
                if (a[p][q] == 0)
                    continue;
                const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
                const double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
                const double c = 1 / sqrt(t * t + 1), s = t * c;
                for (int k = 0; k < SIZE; k++) {
                    const double x = a[k][p], y = a[k][q];
                    a[k][p] = c * x - s * y;
                    a[k][q] = s * x + c * y;
                }
                for (int k = 0; k < SIZE; k++) {
                    const double x = a[p][k], y = a[q][k];
                    a[p][k] = c * x - s * y;
                    a[q][k] = s * x + c * y;
                }
            }
    }
    *least = *most = a[0][0];
    for (int i = 1; i < SIZE; i++) {
        *least = a[i][i] < *least ? a[i][i] : *least;
        *most = a[i][i] > *most ? a[i][i] : *most;
    }
}

/* Solve matrix x = right by Gauss's elimination with pivots, size up to SIZE; the matrix, whose rows are SIZE apart, is
 * lost. Returns 0 where it is singular. */
static int solved(double* matrix, double* right, int size)
{
    for (int p = 0; p < size; p++) {
        int best = p;
        for (int i = p + 1; i < size; i++)
            best = fabs(matrix[i * SIZE + p]) > fabs(matrix[best * SIZE + p]) ? i : best;
        if (matrix[best * SIZE + p] == 0)
            return 0;
        for (int j = 0; j < size; j++) {
            const double held = matrix[p * SIZE + j];
            matrix[p * SIZE + j] = matrix[best * SIZE + j];
            matrix[best * SIZE + j] = held;
        }
        const double other = right[p];
        right[p] = right[best];
        right[best] = other;
        for (int i = p + 1; i < size; i++) {
            const double times = matrix[i * SIZE + p] / matrix[p * SIZE + p];
            for (int j = p; j < size; j++)
                matrix[i * SIZE + j] -= times * matrix[p * SIZE + j];
            right[i] -= times * right[p];
        }
    }
    for (int p = size - 1; p >= 0; p--) {
        for (int j = p + 1; j < size; j++)
            right[p] -= matrix[p * SIZE + j] * right[j];
        right[p] /= matrix[p * SIZE + p];
    }
    return 1;
}

/* Levels decided from mean frequencies, and the response to each symbol and its neighbours fitted, in turns.
 *
 * means: [count], count above 2 SIDE; top: levels less 1; start: middle and half the distance of the levels; ridge: what
 * is added to the sums of squares of neighbours; singular: largest over smallest eigenvalue of the sums of squares, at
 * most; solution: [SIZE], the responses and the middle; levels: [count], of each symbol; room: [count].
 * Returns the sum of the squares of what is left, or below 0 where there are no such levels.
 */
double amrq_level_fit(const double* means, int64_t count, int64_t top, const double* start, int64_t rounds, double ridge,
                      double singular, double* solution, double* levels, double* room)
{
    const int64_t inner = count - 2 * SIDE;
    double centre = start[0], half = start[1], left = -1;
    for (int64_t n = 0; n < count; n++)
        room[n] = means[n];
    for (int64_t round = 0; round < rounds; round++) {
        double gram[SIZE * SIZE] = {0}, right[SIZE] = {0}, least, most;
        for (int64_t n = 0; n < count; n++)
            levels[n] = 2 * decided((room[n] - centre) / (2 * half) + (double)top / 2, top) - (double)top;
        for (int64_t n = 0; n < inner; n++) {
            const double mean = means[n + SIDE];
            for (int i = 0; i < TAPS; i++) {
                for (int j = 0; j <= i; j++)
                    gram[i * SIZE + j] += levels[n + i] * levels[n + j];
                gram[TAPS * SIZE + i] += levels[n + i];
                right[i] += levels[n + i] * mean;
            }
            right[TAPS] += mean;
        }
        gram[TAPS * SIZE + TAPS] = (double)inner;
        for (int i = 0; i < SIZE; i++)
            for (int j = i + 1; j < SIZE; j++)
                gram[i * SIZE + j] = gram[j * SIZE + i];
        extremes(gram, &least, &most);
        if (!(most < singular * least))
            return -1;
        for (int i = 0; i < TAPS; i++)
            gram[i * SIZE + i] += i == SIDE ? 0 : ridge;
        if (!solved(gram, right, SIZE))
            return -1;
        half = 0;
        for (int i = 0; i < SIZE; i++) {
            solution[i] = right[i];
            half += i < TAPS ? right[i] : 0;
        }
        const double main = right[SIDE];
        centre = right[TAPS];
        if (!(half > 0) || !(main > 0.2 * half))
            return -1;
        left = 0;
        for (int64_t n = 0; n < inner; n++) {
            double away = means[n + SIDE] - centre;
            for (int i = 0; i < TAPS; i++)
                away -= levels[n + i] * right[i];
            left += away * away;
            room[n + SIDE] = (away + main * levels[n + SIDE]) * (half / main) + centre;
        }
    }
    return left;
}

/* Levels of a word that is sent again and again, of which each symbol's neighbours are in a circle.
 *
 * means: [count], finite; taps: neighbours on either side, at most SIDE; start: middle and half the distance of the
 * levels; ridge: what is added to the sums of squares of neighbours; small: what is added to all; numbers: [count], level
 * of each symbol; room: [2 count + 2 taps]. Returns the RMS of what is left, or below 0 where there are no such levels.
 */
double amrq_circle_fit(const double* means, int64_t count, int64_t top, int64_t taps, const double* start, int64_t rounds,
                       double ridge, double small, int64_t* numbers, double* room)
{
    const int across = 2 * (int)taps + 1, size = across + 1;
    double centre = start[0], half = start[1], left = -1;
    double *rest = room, *points = room + count;
    int64_t lowest = top, highest = 0;
    for (int64_t n = 0; n < count; n++)
        rest[n] = means[n];
    for (int64_t round = 0; round < rounds; round++) {
        double gram[SIZE * SIZE] = {0}, right[SIZE] = {0}, squares = 0;
        lowest = top, highest = 0;
        for (int64_t n = 0; n < count; n++) {
            numbers[n] = (int64_t)decided(((rest[n] - centre) / half + (double)top) / 2, top);
            lowest = numbers[n] < lowest ? numbers[n] : lowest;
            highest = numbers[n] > highest ? numbers[n] : highest;
            points[n + taps] = 2.0 * (double)numbers[n] - (double)top;
        }
        for (int64_t n = 0; n < taps; n++) {
            points[n] = points[count + n];
            points[count + taps + n] = points[taps + n];
        }
        for (int64_t n = 0; n < count; n++) {
            for (int i = 0; i < across; i++) {
                for (int j = 0; j <= i; j++)
                    gram[i * SIZE + j] += points[n + i] * points[n + j];
                gram[across * SIZE + i] += points[n + i];
                right[i] += points[n + i] * means[n];
            }
            right[across] += means[n];
        }
        gram[across * SIZE + across] = (double)count;
        for (int i = 0; i < size; i++) {
            for (int j = i + 1; j < size; j++)
                gram[i * SIZE + j] = gram[j * SIZE + i];
            gram[i * SIZE + i] += small + (i == taps || i == across ? 0 : ridge);
        }
        if (!solved(gram, right, size))
            return -1;
        const double main = right[taps];
        half = 0;
        for (int i = 0; i < across; i++)
            half += right[i];
        centre = right[across];
        if (!(half > 0) || !(main > 0.2 * half))
            return -1;
        for (int64_t n = 0; n < count; n++) {
            double away = means[n] - centre;
            for (int i = 0; i < across; i++)
                away -= points[n + i] * right[i];
            squares += away * away;
            rest[n] = (away + main * points[n + taps]) * (half / main) + centre;
        }
        left = sqrt(squares / (double)count);
    }
    return lowest == 0 && highest == top ? left : -1;
}

/* Evenly spaced levels decided from values, and their distance and middle fitted, in turns.
 *
 * values: [count]; top: levels less 1; half: half of the distance to begin with; found: [2], half and middle;
 * numbers: [count], level of each value. Returns the RMS of what is left over half, below 0 where nothing fits.
 */
double amrq_even_levels(const double* values, int64_t count, int64_t top, double half, int64_t rounds, double* found,
                        int64_t* numbers)
{
    double centre = 0, sum = 0, left = 0;
    for (int64_t n = 0; n < count; n++)
        sum += values[n];
    found[0] = found[1] = 0;
    for (int64_t round = 0; round < rounds && half > 0; round++) {
        double points = 0, squares = 0, products = 0;
        for (int64_t n = 0; n < count; n++) {
            const double level = decided(((values[n] - centre) / half + (double)top) / 2, top);
            const double point = 2 * level - (double)top;
            numbers[n] = (int64_t)level;
            points += point;
            squares += point * point;
            products += point * values[n];
        }
        const double mean = points / (double)count, power = squares - points * mean;
        /* Of values that are all the same level, there is no distance; of others the squares are 2 at least. */
        half = power < 1 ? 0 : (products - mean * sum) / power;
        centre = sum / (double)count - half * mean;
    }
    if (!(half > 0))
        return -1;
    for (int64_t n = 0; n < count; n++) {
        const double away = values[n] - centre - half * (double)(2 * numbers[n] - top);
        left += away * away;
    }
    found[0] = half;
    found[1] = centre;
    return sqrt(left / (double)count) / half;
}

/* The sine of an angle of -pi / 2 to pi / 2, right to single precision (Taylor's series). */
static inline float sine(float angle)
{
    const float square = angle * angle;
    return angle * (1 + square * (-1 / 6.0f + square * (1 / 120.0f + square * (-1 / 5040.0f +
           square * (1 / 362880.0f - square * (1 / 39916800.0f))))));
}

/* How even values are at spacings: the magnitude of the mean of a turn for each spacing.
 *
 * values: [count], count above 0; spacings, even: [tried].
 */
WIDE void amrq_evenness(const double* values, int64_t count, const double* spacings, int64_t tried, double* even)
{
    const float turn = 6.28318531f;
    for (int64_t k = 0; k < tried; k++) {
        const double spacing = spacings[k];
        float along[LANES] = { 0 }, across[LANES] = { 0 };
        for (int64_t first = 0; first < count; first += LANES) {
            float parts[LANES] = { 0 };
            const int64_t some = count - first < LANES ? count - first : LANES;
            if (some == LANES) /* a fixed number, which is computed at once */
                for (int64_t n = 0; n < LANES; n++) {
                    const double turns = values[first + n] / spacing;
                    parts[n] = (float)(turns - rint(turns));
                }
            else
                for (int64_t n = 0; n < some; n++) {
                    const double turns = values[first + n] / spacing;
                    parts[n] = (float)(turns - rint(turns));
                }
            if (some == LANES)
                for (int64_t n = 0; n < LANES; n++) {
                    const float size = fabsf(parts[n]);
                    along[n] += sine(turn * (0.25f - size));
                    across[n] += copysignf(sine(turn * (0.25f - fabsf(size - 0.25f))), parts[n]);
                }
            else
                for (int64_t n = 0; n < some; n++) {
                    const float size = fabsf(parts[n]);
                    along[n] += sine(turn * (0.25f - size));
                    across[n] += copysignf(sine(turn * (0.25f - fabsf(size - 0.25f))), parts[n]);
                }
        }
        double real = 0, imaginary = 0;
        for (int64_t n = 0; n < LANES; n++) {
            real += (double)along[n];
            imaginary += (double)across[n];
        }
        even[k] = sqrt(real * real + imaginary * imaginary) / (double)count;
    }
}

/* The evenly spaced levels that are nearest to values, where their spacing is known roughly.
 *
 * values: [count], count above 0; found: [5], the spacing, to begin with as well, the place of level 0, the lowest
 * level, the sum of the squares of what is left, and its sum; numbers: [count], the level of each value from the lowest
 * one on; away: [count], the size of what is left, over the spacing. Returns 0 where there are no two levels.
 */
int64_t amrq_lattice(const double* values, int64_t count, double* found, int64_t* numbers, double* away)
{
    const double whole = 6.283185307179586;
    double spacing = found[0], along = 0, across = 0, lowest = 0;
    for (int64_t n = 0; n < count; n++) {
        double turns = values[n] / spacing;
        turns = whole * (turns - rint(turns));
        along += cos(turns);
        across += sin(turns);
    }
    double offset = atan2(across, along) / whole * spacing, mean = 0;
    for (int64_t n = 0; n < count; n++)
        mean += values[n];
    mean /= (double)count;
    for (int round = 0; round < 2; round++) {
        double middle = 0, products = 0, squares = 0, highest = lowest = rint((values[0] - offset) / spacing);
        for (int64_t n = 0; n < count; n++) {
            const double number = rint((values[n] - offset) / spacing);
            away[n] = number;
            middle += number;
            lowest = number < lowest ? number : lowest;
            highest = number > highest ? number : highest;
        }
        if (!(highest > lowest))
            return 0;
        middle /= (double)count;
        for (int64_t n = 0; n < count; n++) {
            const double aside = away[n] - middle;
            products += aside * values[n];
            squares += aside * aside;
        }
        spacing = products / squares;
        offset = mean - spacing * middle;
        if (!(spacing > 0))
            return 0;
    }
    found[3] = found[4] = 0;
    for (int64_t n = 0; n < count; n++) {
        const double left = values[n] - away[n] * spacing - offset;
        numbers[n] = (int64_t)(away[n] - lowest);
        found[3] += left * left;
        found[4] += left;
        away[n] = fabs(left) / spacing;
    }
    found[0] = spacing;
    found[1] = offset;
    found[2] = lowest;
    return 1;
}

void amrq_orders(const double* values, int64_t rows, int64_t stride, int64_t count, int64_t place, double* room,
                 double* found);

/* What tells the densities of values without levels: how far they reach, their variance, and their mean distance from
 * the median.
 *
 * values: [count], count above 0; room: [2 * count + 9]; found: [3].
 */
WIDE void amrq_spreads(const double* values, int64_t count, double* room, double* found)
{
    double middle[2], sums[LANES] = { 0 }, lows[LANES], highs[LANES], sum = 0, squares = 0, away = 0;
    const int64_t whole = count / LANES * LANES;
    for (int k = 0; k < LANES; k++)
        lows[k] = highs[k] = values[0];
    for (int64_t n = 0; n < whole; n += LANES)
        for (int k = 0; k < LANES; k++) {
            const double one = values[n + k];
            sums[k] += one;
            lows[k] = one < lows[k] ? one : lows[k];
            highs[k] = one > highs[k] ? one : highs[k];
        }
    for (int64_t n = whole; n < count; n++) {
        const double one = values[n];
        sums[0] += one;
        lows[0] = one < lows[0] ? one : lows[0];
        highs[0] = one > highs[0] ? one : highs[0];
    }
    for (int k = 0; k < LANES; k++) {
        sum += sums[k];
        lows[0] = lows[k] < lows[0] ? lows[k] : lows[0];
        highs[0] = highs[k] > highs[0] ? highs[k] : highs[0];
    }
    amrq_orders(values, 1, count, count, (count - 1) / 2, room, middle);
    const double mean = sum / (double)count, median = count % 2 ? middle[0] : (middle[0] + middle[1]) / 2;
    double parts[LANES] = { 0 }, sizes[LANES] = { 0 };
    for (int64_t n = 0; n < whole; n += LANES)
        for (int k = 0; k < LANES; k++) {
            const double beside = values[n + k] - mean;
            parts[k] += beside * beside;
            sizes[k] += fabs(values[n + k] - median);
        }
    for (int64_t n = whole; n < count; n++) {
        squares += (values[n] - mean) * (values[n] - mean);
        away += fabs(values[n] - median);
    }
    for (int k = 0; k < LANES; k++) {
        squares += parts[k];
        away += sizes[k];
    }
    found[0] = highs[0] - lows[0];
    found[1] = squares / (double)count;
    found[2] = away / (double)count;
}

/* Where each row of spectra is highest, between its bins by a parabola through the logarithms, and how high.
 *
 * spectra: complex [rows, count], count above 0; places, powers: [rows].
 */
WIDE void amrq_row_tops(const float* spectra, int64_t rows, int64_t count, double* places, float* powers)
{
    for (int64_t row = 0; row < rows; row++) {
        const float* one = spectra + 2 * row * count;
        float most = -1, around[3];
        int64_t top = 0;
        for (int64_t n = 0; n < count; n++) {
            const float power = one[2 * n] * one[2 * n] + one[2 * n + 1] * one[2 * n + 1];
            top = power > most ? n : top;
            most = power > most ? power : most;
        }
        for (int64_t k = 0; k < 3; k++) {
            const int64_t n = (top + k - 1 + count) % count;
            around[k] = logf(one[2 * n] * one[2 * n] + one[2 * n + 1] * one[2 * n + 1] + 1e-30f);
        }
        const float curve = around[0] - 2 * around[1] + around[2], bend = curve < -1e-9f ? curve : -1e-9f;
        const float beside = 0.5f * (around[0] - around[2]) / bend;
        places[row] = (double)top + (double)(beside < -0.5f ? -0.5f : beside > 0.5f ? 0.5f : beside);
        powers[row] = most;
    }
}

/* The moments at which one tone becomes another: what is before is explained by the one, what follows by the other.
 *
 * samples: complex; middles: [changes], places about which each one is looked for, `reach` samples to either side, which
 * there are; before, after: [changes], turns a sample; reach: at least 3; moments: [changes], from the middle on.
 */
void amrq_tone_changes(const float* samples, const int64_t* middles, const double* before, const double* after,
                       int64_t changes, int64_t reach, double* room, int64_t* moments)
{
    const double whole = 6.283185307179586;
    const int64_t length = 2 * reach;
    double* explained = room; /* [length + 1] */
    for (int64_t one = 0; one < changes; one++) {
        const float* from = samples + 2 * (middles[one] - reach);
        for (int side = 0; side < 2; side++) { /* forwards with the tone before, backwards with the one after */
            const double tone = side ? -after[one] : before[one];
            const double step_re = cos(whole * tone), step_im = -sin(whole * tone);
            double turn_re = 1, turn_im = 0, sum_re = 0, sum_im = 0;
            for (int64_t n = 0; n < length; n++) {
                const float* sample = from + 2 * (side ? length - 1 - n : n);
                sum_re += (double)sample[0] * turn_re - (double)sample[1] * turn_im;
                sum_im += (double)sample[0] * turn_im + (double)sample[1] * turn_re;
                const double next = turn_re * step_re - turn_im * step_im;
                turn_im = turn_re * step_im + turn_im * step_re;
                turn_re = next;
                const double power = (sum_re * sum_re + sum_im * sum_im) / (double)(n + 1);
                if (side)
                    explained[length - 1 - n] += power;
                else
                    explained[n + 1] = power;
            }
            if (!side)
                explained[0] = 0;
        }
        int64_t top = 2;
        for (int64_t n = 3; n <= length - 2; n++)
            top = explained[n] > explained[top] ? n : top;
        moments[one] = top - reach;
    }
}

/* Values less their mean, times a window, followed by zeros up to `length`. */
WIDE void amrq_faded(const float* values, const float* window, int64_t count, int64_t length, float* out)
{
    double sum = 0;
    for (int64_t first = 0; first < count; first += BLOCK) {
        float lanes[LANES] = { 0 };
        const int64_t stop = count - first < BLOCK ? count : first + BLOCK, whole = stop - (stop - first) % LANES;
        for (int64_t n = first; n < whole; n += LANES)
            for (int k = 0; k < LANES; k++)
                lanes[k] += values[n + k];
        for (int64_t n = whole; n < stop; n++)
            lanes[n - whole] += values[n];
        for (int k = 0; k < LANES; k++)
            sum += (double)lanes[k];
    }
    const float mean = (float)(sum / (double)count);
    for (int64_t n = 0; n < count; n++)
        out[n] = (values[n] - mean) * window[n];
    for (int64_t n = count; n < length; n++)
        out[n] = 0;
}

/* The magnitude that stands out most of the mean of those around it.
 *
 * spectrum: complex [count]; first, last: places that are looked at, `first` at least 1 and below `last`, which is below
 * `count`; local: places to either side that are the floor, fewer at the ends; share: of the mean floor, that is added to
 * each; sums: [count + 1], magnitudes: [count], room; found: how far it stands out, and the magnitudes before, at and
 * after it. Returns its place.
 */
WIDE int64_t amrq_clearest_line(const float* spectrum, int64_t count, int64_t first, int64_t last, int64_t local,
                                double share, double* sums, float* magnitudes, double* found)
{
    const int64_t begin = first > local ? first - local : 0, stop = last + local < count ? last + local : count;
    const int64_t around = stop - begin, wide = 2 * local + 1 < around ? 2 * local + 1 : around;
    for (int64_t n = begin; n < stop; n++)
        magnitudes[n] = sqrtf(spectrum[2 * n] * spectrum[2 * n] + spectrum[2 * n + 1] * spectrum[2 * n + 1]);
    double sum = 0, floors = 0, best = -1;
    int64_t top = first; /* where nothing is a number, too */
    for (int64_t n = 0; n < around; n++) {
        sums[n] = sum;
        sum += (double)magnitudes[begin + n];
    }
    sums[around] = sum;
    for (int64_t pass = 0; pass < 2; pass++) {
        const double least = share * floors / (double)(last - first) + 1e-300;
        for (int64_t place = first; place < last; place++) {
            int64_t from = place - begin - local;
            from = from < 0 ? 0 : from > around - wide ? around - wide : from;
            const double about = (sums[from + wide] - sums[from]) / (double)wide;
            if (pass == 0) {
                floors += about;
            } else if ((double)magnitudes[place] > best * (about + least)) {
                best = (double)magnitudes[place] / (about + least);
                top = place;
            }
        }
    }
    found[0] = best;
    for (int64_t k = 0; k < 3; k++)
        found[k + 1] = (double)magnitudes[top + k - 1];
    return top;
}
