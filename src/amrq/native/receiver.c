/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a receiver does step by step and block by block, beside the NumPy code that says it: the carrier that a stream's
 * lines tell (amrq.measure.carrier_recovery), the averages of its spectra (amrq.receive.pulse), the correlation of its
 * symbols (amrq.receive.equaliser), the noise between bursts (amrq.receive.bursts) and levels (amrq.receive.receiver).
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

/* Turn whole steps, complex [steps, 32]; turn: cycles by which the first is turned, afterwards that after the last. */
WIDE void amrq_carrier_turns(const double* rates, int64_t steps, double* turn, double* starts)
{
    double now = *turn;
    for (int64_t step = 0; step < steps; step++) {
        starts[step] = now;
        const double next = now + rates[step] * STEP;
        now = next - floor(next);
    }
    *turn = now;
}
