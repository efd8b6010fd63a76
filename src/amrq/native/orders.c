/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The value that so many others are below, and the next one: by narrowing down between two values of a sample that it
 * most likely lies between (Floyd and Rivest, Expected time bounds for selection, 1975). amrq.measure.looks says the same
 * with NumPy.
 */

#include <float.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

#define FEW 24   /* values that are sorted */
#define SAMPLE 31
#define AWAY 5   /* places in the sample, to either side */
#define SHORT 512 /* values of a row that is narrowed down by means */
#define NEAR 8    /* values on either side of where it was */
#define LANES 8
#define ROUNDS 24

#define DEFINE_ORDER(NAME, TYPE, MOST)                                                                                 \
    static void NAME##_sorted(TYPE* values, int64_t count)                                                             \
    {                                                                                                                  \
        for (int64_t n = 1; n < count; n++) {                                                                          \
            const TYPE one = values[n];                                                                                \
            int64_t at = n;                                                                                            \
            for (; at > 0 && values[at - 1] > one; at--)                                                               \
                values[at] = values[at - 1];                                                                           \
            values[at] = one;                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* Those from `low` to `high`, which may be any two values; `below` counts the lesser ones. */                     \
    static int64_t NAME##_between(const TYPE* values, int64_t count, TYPE low, TYPE high, TYPE* to, int64_t* below)    \
    {                                                                                                                  \
        int64_t kept = 0, less = 0;                                                                                    \
        for (int64_t n = 0; n < count; n++) {                                                                          \
            const TYPE one = values[n];                                                                                \
            to[kept] = one;                                                                                            \
            kept += (one >= low) & (one <= high);                                                                      \
            less += one < low;                                                                                         \
        }                                                                                                              \
        *below = less;                                                                                                 \
        return kept;                                                                                                   \
    }                                                                                                                  \
                                                                                                                       \
    static void NAME##_one(const TYPE* values, int64_t count, int64_t place, TYPE* room, TYPE* found)                  \
    {                                                                                                                  \
        TYPE *to = room, *other = room + count + 1;                                                                    \
        const int64_t whole = count;                                                                                   \
        int64_t next = place + 1 < count ? place + 1 : place;                                                          \
        while (count > FEW) {                                                                                          \
            TYPE sample[SAMPLE];                                                                                       \
            for (int k = 0; k < SAMPLE; k++)                                                                           \
                sample[k] = values[count * k / SAMPLE];                                                                \
            NAME##_sorted(sample, SAMPLE);                                                                             \
            const int64_t at = place * SAMPLE / count;                                                                 \
            const int lower = at >= AWAY, upper = at + AWAY < SAMPLE;                                                  \
            const TYPE least = sample[0], most = sample[SAMPLE - 1];                                                   \
            TYPE low = lower ? sample[at - AWAY] : least, high = upper ? sample[at + AWAY] : most;                     \
            if (!lower || !upper)                                                                                      \
                for (int64_t n = 0; n < count; n++) {                                                                  \
                    low = !lower && values[n] < low ? values[n] : low;                                                 \
                    high = !upper && values[n] > high ? values[n] : high;                                              \
                }                                                                                                      \
            int64_t below;                                                                                             \
            int64_t kept = NAME##_between(values, count, low, high, to, &below);                                       \
            if (place < below || next >= below + kept) { /* the sample was not like the others */                      \
                TYPE smallest = values[0], largest = values[0];                                                        \
                for (int64_t n = 1; n < count; n++) {                                                                  \
                    smallest = values[n] < smallest ? values[n] : smallest;                                            \
                    largest = values[n] > largest ? values[n] : largest;                                               \
                }                                                                                                      \
                low = next < below + kept ? smallest : low;                                                            \
                high = place >= below ? largest : high;                                                                \
                kept = NAME##_between(values, count, low, high, to, &below);                                           \
            }                                                                                                          \
            if (kept == count) {                                                                                       \
                /* Nothing was left out: most are alike, or a few values come again and again. The least one goes. */  \
                int64_t equal = 0;                                                                                     \
                for (int64_t n = 0; n < count; n++)                                                                    \
                    equal += to[n] == low;                                                                             \
                if (place < equal) {                                                                                   \
                    TYPE after = high;                                                                                 \
                    for (int64_t n = 0; n < count; n++)                                                                \
                        after = to[n] > low && to[n] < after ? to[n] : after;                                          \
                    found[0] = low;                                                                                    \
                    found[1] = next < equal ? low : after;                                                             \
                    return;                                                                                            \
                }                                                                                                      \
                kept = 0;                                                                                              \
                for (int64_t n = 0; n < count; n++) {                                                                  \
                    const TYPE one = to[n];                                                                            \
                    to[kept] = one;                                                                                    \
                    kept += one != low;                                                                                \
                }                                                                                                      \
                below = equal;                                                                                         \
            }                                                                                                          \
            place -= below;                                                                                            \
            next -= below;                                                                                             \
            values = to;                                                                                               \
            count = kept;                                                                                              \
            TYPE* kept_room = to;                                                                                      \
            to = other;                                                                                                \
            other = kept_room;                                                                                         \
        }                                                                                                              \
        if (values != room && values != room + whole + 1)                                                              \
            for (int64_t n = 0; n < count; n++)                                                                        \
                to[n] = values[n];                                                                                     \
        else                                                                                                           \
            to = (TYPE*)values;                                                                                        \
        NAME##_sorted(to, count);                                                                                      \
        found[0] = to[place];                                                                                          \
        found[1] = to[next];                                                                                           \
    }                                                                                                                  \
                                                                                                                       \
    /* How many values are above `low` and at most `high`, and their sum; `count` is a multiple of LANES. */           \
    __attribute__((always_inline)) static inline int64_t NAME##_counted(const TYPE* values, int64_t count, TYPE low, TYPE high, TYPE* sum) \
    {                                                                                                                  \
        TYPE sums[LANES] = { 0 }, counts[LANES] = { 0 };                                                               \
        for (int64_t n = 0; n < count; n += LANES)                                                                     \
            for (int k = 0; k < LANES; k++) {                                                                          \
                const int inside = (values[n + k] > low) & (values[n + k] <= high);                                    \
                sums[k] += inside ? values[n + k] : (TYPE)0;                                                           \
                counts[k] += inside ? (TYPE)1 : (TYPE)0;                                                               \
            }                                                                                                          \
        TYPE all = 0, number = 0;                                                                                      \
        for (int k = 0; k < LANES; k++) {                                                                              \
            all += sums[k];                                                                                            \
            number += counts[k];                                                                                       \
        }                                                                                                              \
        *sum = all;                                                                                                    \
        return (int64_t)number;                                                                                        \
    }                                                                                                                  \
                                                                                                                       \
    /* The same of few values: they are narrowed down by the mean of those that are left. `near` are two values that it\
     * is looked for between first, and then about where it was: rows that follow each other are often alike. Returns 0\
     * where that does not do. */                                                                                      \
    WIDE static int NAME##_short(const TYPE* values, int64_t count, int64_t place, TYPE* near, TYPE* room, TYPE* found)\
    {                                                                                                                  \
        const int64_t next = place + 1 < count ? place + 1 : place, padded = (count + LANES - 1) / LANES * LANES;      \
        TYPE low = near[0], high = near[1], sum;                                                                       \
        memcpy(room, values, sizeof(TYPE) * (size_t)count);                                                            \
        for (int64_t n = count; n < padded; n++)                                                                       \
            room[n] = MOST;                                                                                            \
        int64_t below = 0, inside = 0;                                                                                 \
        if (low < high) {                                                                                              \
            below = NAME##_counted(room, padded, -MOST, low, &sum);                                                    \
            inside = NAME##_counted(room, padded, low, high, &sum);                                                    \
        }                                                                                                              \
        if (place < below || next >= below + inside) {                                                                 \
            high = room[0];                                                                                            \
            for (int64_t n = 0; n < count; n++)                                                                        \
                high = room[n] > high ? room[n] : high;                                                                \
            low = -MOST;                                                                                               \
            below = 0;                                                                                                 \
            inside = NAME##_counted(room, padded, low, high, &sum);                                                    \
        }                                                                                                              \
        for (int round = 0; inside > FEW; round++) {                                                                   \
            const TYPE middle = sum / (TYPE)inside;                                                                    \
            TYPE lesser;                                                                                               \
            const int64_t less = NAME##_counted(room, padded, low, middle, &lesser);                                   \
            if (less == 0 || less == inside || round == ROUNDS)                                                        \
                return 0;                                                                                              \
            if (next < below + less) {                                                                                 \
                high = middle;                                                                                         \
                inside = less;                                                                                         \
                sum = lesser;                                                                                          \
            } else if (place >= below + less) {                                                                        \
                low = middle;                                                                                          \
                below += less;                                                                                         \
                inside -= less;                                                                                        \
                sum -= lesser;                                                                                         \
            } else {                                                                                                   \
                TYPE last = -MOST, first = MOST;                                                                       \
                for (int64_t n = 0; n < count; n++) {                                                                  \
                    last = (room[n] <= middle) & (room[n] > last) ? room[n] : last;                                    \
                    first = (room[n] > middle) & (room[n] < first) ? room[n] : first;                                  \
                }                                                                                                      \
                found[0] = last;                                                                                       \
                found[1] = first;                                                                                      \
                return 1;                                                                                              \
            }                                                                                                          \
        }                                                                                                              \
        TYPE left[FEW + 1];                                                                                            \
        int64_t kept = 0;                                                                                              \
        for (int64_t n = 0; n < count && kept <= FEW; n++) {                                                           \
            left[kept] = room[n];                                                                                      \
            kept += (room[n] > low) & (room[n] <= high);                                                               \
        }                                                                                                              \
        if (kept != inside)                                                                                            \
            return 0;                                                                                                  \
        NAME##_sorted(left, kept);                                                                                     \
        found[0] = left[place - below];                                                                                \
        found[1] = left[next - below];                                                                                 \
        const TYPE away = (left[kept - 1] - left[0]) / (TYPE)kept * (TYPE)NEAR;                                        \
        const int known = away < MOST / 16 && found[0] < MOST / 16 && found[0] > -MOST / 16;                           \
        near[0] = known ? found[0] - away : MOST;                                                                      \
        near[1] = known ? found[0] + away : -MOST;                                                                     \
        return 1;                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* Of each row the value at a place of their order, and the next; rows begin `stride` values apart; `room` holds 2 \
     * times `count` + 9. */                                                                                           \
    void NAME(const TYPE* values, int64_t rows, int64_t stride, int64_t count, int64_t place, TYPE* room, TYPE* found) \
    {                                                                                                                  \
        TYPE near[2] = { MOST, -MOST };                                                                                \
        for (int64_t row = 0; row < rows; row++, values += stride, found += 2)                                         \
            if (count > SHORT || !NAME##_short(values, count, place, near, room, found))                               \
                NAME##_one(values, count, place, room, found);                                                         \
    }

DEFINE_ORDER(amrq_orders, double, DBL_MAX)
DEFINE_ORDER(amrq_orders_single, float, FLT_MAX)

/* Of windows that slide by `stride`: the values that leave and enter are counted by their first bits (16 to an octave,
 * so that few are alike), a pointer follows the place, and only those with its bits are put in order. */
#define KEY_BITS 15
#define KEYS (1 << KEY_BITS)
#define WORD 8

WIDE static void keys_of(const double* values, int64_t count, uint16_t* keys)
{
    for (int64_t n = 0; n < count; n++) {
        uint64_t bits;
        memcpy(&bits, values + n, sizeof bits);
        keys[n] = (uint16_t)((bits >> (63 - KEY_BITS)) & (KEYS - 1));
    }
}

/* 1 where keys are one, else 0. */
WIDE static void are(const uint16_t* keys, int64_t count, uint16_t key, uint8_t* flags)
{
    for (int64_t n = 0; n < count; n++)
        flags[n] = keys[n] == key;
}

/* As amrq_orders, of values that are not negative. `counts` holds KEYS zeros, and whatever afterwards; `keys` as many as
 * there are values from the first to the last window's end; `flags` `count` + 8 zeros; `room` 3 times `count` + 9. */
void amrq_sliding_orders(const double* values, int64_t rows, int64_t stride, int64_t count, int64_t place, uint16_t* counts,
    uint16_t* keys, uint8_t* flags, double* room, double* found)
{
    const int64_t next = place + 1 < count ? place + 1 : place;
    keys_of(values, (rows - 1) * stride + count, keys);
    int64_t key = keys[count / 2], below = 0;
    for (int64_t n = 0; n < count; n++) {
        counts[keys[n]]++;
        below += keys[n] < key;
    }
    for (int64_t row = 0; row < rows; row++, values += stride, keys += stride, found += 2) {
        if (row) {
            /* Where windows do not overlap, what lies between them is counted, and leaves again. */
            for (int64_t n = -stride; n < 0; n++) {
                const int64_t gone = keys[n], fresh = keys[n + count];
                counts[gone]--;
                counts[fresh]++;
                below += (fresh < key) - (gone < key);
            }
        }
        while (below > place)
            below -= counts[--key];
        while (below + counts[key] <= place)
            below += counts[key++];
        are(keys, count, (uint16_t)key, flags);
        int64_t kept = 0;
        for (int64_t n = 0; n < count; n += WORD) {
            uint64_t word;
            memcpy(&word, flags + n, WORD);
            for (int64_t k = n; word; word >>= WORD, k++) {
                room[kept] = values[k];
                kept += word & 1;
            }
        }
        const int64_t at = place - below;
        if (kept > FEW) {
            amrq_orders_one(room, kept, at, room + count + 1, found);
        } else {
            amrq_orders_sorted(room, kept);
            found[0] = room[at];
            found[1] = room[at + 1 < kept ? at + 1 : at];
        }
        if (next - below >= kept) {
            double after = DBL_MAX;
            for (int64_t n = 0; n < count; n++)
                after = (keys[n] > key) & (values[n] < after) ? values[n] : after;
            found[1] = after;
        }
    }
}
