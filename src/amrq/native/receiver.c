/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a receiver does step by step and block by block, beside the NumPy code that says it: the carrier that a stream's
 * lines tell (amrq.measure.carrier_recovery), the correlation of its symbols (amrq.receive.equaliser), the noise between
 * bursts (amrq.receive.bursts) and levels (amrq.receive.receiver).
 * tests/test_native_receiver.py holds one against the other.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

#define FUNCTIONS 6
#define STEP 32

/* What a carrier's choice is made with. */
struct carrier_limits {
    double steady, same, turning, binary_away; /* see amrq.measure.carrier_recovery and carrier_lines */
    double fit_ahead, slow_ahead, sure;
    int64_t fit, slow_fit, coast, late;
};

/* What is known of a carrier from step to step. */
struct carrier {
    double rate, drift, doubt, middle;
    int64_t age, blind, half, doubtful, known; /* the last two: whether doubt and middle are */
};

/* What the steps of a batch show, [6, steps] unless said. */
struct carrier_lines {
    const double *fits, *slow;  /* rates, drifts, quality: [3, 6, steps] */
    const double *far, *binary; /* binary: [steps]; 9 for none */
    const double *wander_rates;
    const uint8_t *any, *fit_ok, *slow_ok, *readable, *wanders; /* any: [steps] */
    const int64_t* orders;                                      /* [6] */
};

/* Of found + k / order: the one by the present rate if that is the same line, else the least. */
static double nearest(double found, int64_t order, int steady, struct carrier* now, const struct carrier_limits* limits)
{
    if (order == 4 && now->known) {
        if (steady) { /* the middle is known late */
            const double away = 4 * (found - now->middle);
            now->half = fabs(away - rint(away)) > limits->turning;
        }
        found += now->half ? 0.125 : 0.0;
    }
    const double many = (double)order, alias = found + rint((now->rate - found) * many) / many;
    return fabs(alias - now->rate) > 0.01 ? found - rint(found * many) / many : alias;
}

/* Take over the carrier that a step shows, if it is to be believed; returns M of its line, 0 for none. */
static int64_t take(int64_t step, int64_t steps, const struct carrier_lines* lines, struct carrier* now,
                    const struct carrier_limits* limits, double* share, int64_t* wander)
{
    double doubt = 0;
    int64_t doubtful = 0;
    for (int64_t row = 0; row < FUNCTIONS; row++) {
        const int64_t at = steps * row + step, plane = FUNCTIONS * steps, order = lines->orders[row];
        double found, drift = 0;
        int sure = 1;
        *share = 0;
        *wander = -1;
        if (lines->wanders[at]) {
            const double more = lines->fits[2 * plane + at] - 1;
            found = lines->wander_rates[at];
            *share = (more > 1 ? more : 1) / (double)(limits->fit - 1);
            *wander = row;
        } else if (lines->fit_ok[at] || lines->slow_ok[at]) {
            const double* fit = lines->fit_ok[at] ? lines->fits : lines->slow;
            const double ahead = lines->fit_ok[at] ? limits->fit_ahead : limits->slow_ahead;
            const int64_t span = lines->fit_ok[at] ? limits->fit : limits->slow_fit;
            drift = fit[plane + at] / (double)order;
            found = fit[at] / (double)order + drift * ahead;
            sure = fit[2 * plane + at] > limits->sure;
            *share = (fit[2 * plane + at] - 1) / (double)(span - 1);
        } else if (lines->readable[at] && now->age == limits->coast) {
            found = lines->far[at] / (double)order;
        } else {
            continue;
        }
        found = nearest(found, order, fabs(drift) < limits->steady, now, limits);
        if (now->age < limits->coast && !sure && fabs(found - now->rate) > limits->same
            && (!now->doubtful || fabs(found - now->doubt) > limits->same)) {
            doubt = found;
            doubtful = 1;
            continue;
        }
        now->rate = found;
        now->drift = drift;
        now->age = *share != 0 ? 0 : now->age;
        now->doubt = doubt;
        now->doubtful = doubtful;
        return order;
    }
    now->doubt = doubt;
    now->doubtful = doubtful;
    *share = 0;
    *wander = -1;
    return 0;
}

/* Choose the carrier of each step of a batch.
 *
 * first: number of its first step; middles: of the spectrum in the steps that come, [count], and whether each is known;
 * told: rate, drift and share of each step, [3, steps]; which: M, whether a line has been seen of late, whether the
 * constellation turns by half its symmetry, and the function whose line wanders, -1 for none, [4, steps]. Returns how many
 * middles are used up.
 */
int64_t amrq_carrier_follow(int64_t steps, int64_t first, const struct carrier_lines* lines,
                            const struct carrier_limits* limits, const double* middles, const uint8_t* known,
                            int64_t count, struct carrier* now, double* told, int64_t* which)
{
    int64_t used = 0;
    for (int64_t step = 0; step < steps; step++) {
        if (used < count) {
            now->middle = middles[used];
            now->known = known[used];
            used += first + step >= limits->late;
        }
        now->age = now->age < limits->coast ? now->age + 1 : limits->coast;
        if (now->age == limits->coast)
            now->drift = 0;
        now->rate += now->drift * STEP;
        int64_t order = 0, wander = -1;
        double share = 0;
        if (lines->any[step])
            order = take(step, steps, lines, now, limits, &share, &wander);
        else
            now->doubtful = 0;
        now->blind = order ? 0 : now->blind < limits->coast ? now->blind + 1 : limits->coast;
        int64_t turning = 0;
        if (order == 4) {
            const double away = lines->binary[step] - 2 * now->rate, part = away - floor(away);
            turning = now->half || (lines->binary[step] < 2 && fabs(part - 0.5) < limits->binary_away);
        }
        told[step] = now->rate;
        told[steps + step] = now->drift;
        told[2 * steps + step] = share;
        which[step] = order;
        which[steps + step] = now->blind < limits->coast;
        which[2 * steps + step] = turning;
        which[3 * steps + step] = wander;
    }
    return used;
}

/* Mean powers of spans of a channel's samples, complex [blocks, stride] from `first` on, [blocks, hop / span]. */
WIDE void amrq_span_powers(const float* samples, int64_t blocks, int64_t stride, int64_t first, int64_t hop, int64_t span,
                           float most, double* out)
{
    for (int64_t block = 0; block < blocks; block++)
        for (int64_t at = 0; at < hop; at += span) {
            const float* from = samples + 2 * (stride * block + first + at);
            float sums[16] = { 0 }, sum = 0;
            for (int64_t k = 0; k < 2 * span; k += 16)
                for (int lane = 0; lane < 16; lane++)
                    sums[lane] += from[k + lane] * from[k + lane];
            for (int lane = 0; lane < 16; lane++)
                sum += sums[lane];
            sum /= (float)span;
            *out++ = sum < most ? sum : most; /* what is no number is more than it, too */
        }
}

/* What tells the middle of a spectrum in each block of samples, complex [blocks, hop]: products two samples apart, and
 * those four apart, at the symbol rate and at its negative. rate: exp(-2 pi i k / samples a symbol), [2, hop - 4];
 * out: complex [3, blocks]. */
WIDE void amrq_block_turns(const float* samples, int64_t blocks, int64_t hop, const float* rate, double* out)
{
    for (int64_t block = 0; block < blocks; block++) {
        const float* from = samples + 2 * hop * block;
        const float *c = rate, *s = rate + (hop - 4);
        float sums[6][8] = { { 0 } };
        int64_t k = 0;
        for (; k + 8 <= hop - 4; k += 8)
            for (int lane = 0; lane < 8; lane++) {
                const int64_t at = k + lane;
                const float x = from[2 * at], y = from[2 * at + 1];
                const float near_x = from[2 * at + 4], near_y = from[2 * at + 5];
                const float far_x = from[2 * at + 8], far_y = from[2 * at + 9];
                const float re = far_x * x + far_y * y, im = far_y * x - far_x * y;
                sums[0][lane] += near_x * x + near_y * y;
                sums[1][lane] += near_y * x - near_x * y;
                sums[2][lane] += re * c[at] - im * s[at];
                sums[3][lane] += re * s[at] + im * c[at];
                sums[4][lane] += re * c[at] + im * s[at];
                sums[5][lane] += re * s[at] - im * c[at];
            }
        double whole[6] = { 0 };
        for (int one = 0; one < 6; one++)
            for (int lane = 0; lane < 8; lane++)
                whole[one] += sums[one][lane];
        for (; k < hop - 2; k++) {
            const float x = from[2 * k], y = from[2 * k + 1], near_x = from[2 * k + 4], near_y = from[2 * k + 5];
            whole[0] += near_x * x + near_y * y;
            whole[1] += near_y * x - near_x * y;
            if (k >= hop - 4)
                continue;
            const float far_x = from[2 * k + 8], far_y = from[2 * k + 9];
            const float re = far_x * x + far_y * y, im = far_y * x - far_x * y;
            whole[2] += re * c[k] - im * s[k];
            whole[3] += re * s[k] + im * c[k];
            whole[4] += re * c[k] + im * s[k];
            whole[5] += re * s[k] - im * c[k];
        }
        for (int one = 0; one < 3; one++) {
            out[2 * (blocks * one + block)] = whole[2 * one];
            out[2 * (blocks * one + block) + 1] = whole[2 * one + 1];
        }
    }
}

/* Values between samples, complex, at places, by taps: [phases + 1, 8], of which the fourth is at a place's own sample. */
WIDE void amrq_interpolate(const float* samples, const double* places, int64_t count, const float* taps, int64_t phases,
                           float* out)
{
    for (int64_t n = 0; n < count; n++) {
        const double whole = floor(places[n]);
        const float* tap = taps + 8 * (int64_t)rint((places[n] - whole) * (double)phases);
        const float* from = samples + 2 * ((int64_t)whole - 3);
        float re = 0, im = 0;
        for (int k = 0; k < 8; k++) {
            re += from[2 * k] * tap[k];
            im += from[2 * k + 1] * tap[k];
        }
        out[2 * n] = re;
        out[2 * n + 1] = im;
    }
}

/* Largest correlation of symbols 1 to `most` apart, over their power. */
WIDE double amrq_correlation(const float* symbols, int64_t count, int64_t most)
{
    float energies[16] = { 0 };
    double energy = 0, largest = 0;
    int64_t k = 0;
    for (; k + 8 <= count; k += 8)
        for (int lane = 0; lane < 16; lane++)
            energies[lane] += symbols[2 * k + lane] * symbols[2 * k + lane];
    for (int lane = 0; lane < 16; lane++)
        energy += energies[lane];
    for (; k < count; k++)
        energy += symbols[2 * k] * symbols[2 * k] + symbols[2 * k + 1] * symbols[2 * k + 1];
    for (int64_t lag = 1; lag <= most; lag++) {
        float re[8] = { 0 }, im[8] = { 0 };
        double sum_re = 0, sum_im = 0;
        for (k = 0; k + 8 <= count - lag; k += 8)
            for (int lane = 0; lane < 8; lane++) {
                const float* one = symbols + 2 * (k + lane);
                const float* other = one + 2 * lag;
                re[lane] += one[0] * other[0] + one[1] * other[1];
                im[lane] += one[0] * other[1] - one[1] * other[0];
            }
        for (int lane = 0; lane < 8; lane++) {
            sum_re += re[lane];
            sum_im += im[lane];
        }
        for (; k < count - lag; k++) {
            const float *one = symbols + 2 * k, *other = one + 2 * lag;
            sum_re += one[0] * other[0] + one[1] * other[1];
            sum_im += one[0] * other[1] - one[1] * other[0];
        }
        const double size = sqrt(sum_re * sum_re + sum_im * sum_im);
        largest = size > largest ? size : largest;
    }
    return largest / (energy > 1e-30 ? energy : 1e-30);
}
