/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A client of a board in plain C, made from docs/board-protocol.md alone; it needs libzmq and nothing else.
 *
 *   cc -O2 -o board_client board_client.c -lzmq -lm
 *   board_client tcp://127.0.0.1:5555 auto < chunks.cf32
 *
 * Reads normalised chunks, float32 I and Q in turn, from standard input, sends them to the board as cf32, ci16, ci8, or
 * what the board says loses nothing (auto), and prints the logits, a line a chunk. For little-endian machines.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { HELLO = 1, CAPABILITIES, CLASSIFY, SCORES, PING, PONG, ERROR };
enum { CI8 = 1, CI16, CF32 };
enum { INT32 = 1, FLOAT32 };
enum { BATCH = 256, TRIES = 3, TIMEOUT_MS = 2000 };

struct header { /* every field lies where its type is aligned, so that no compiler adds anything */
    char magic[4];
    uint8_t version, type, format, flags;
    uint64_t session, sequence, sample_index;
    uint32_t chunks;
    uint16_t chunk_length, scores;
    float scale;
    uint16_t status, reserved;
    uint32_t payload_bytes, crc;
};
struct capabilities {
    uint8_t sha256[32];
    uint32_t sample_formats, exact_formats, score_formats, largest_batch;
    uint16_t chunk_length, scores;
    float input_scale;
};
_Static_assert(sizeof(struct header) == 56 && sizeof(struct capabilities) == 56, "as the protocol has them");

static void *context, *board;
static uint64_t session, sequence;
static uint8_t answer[1 << 22];

static void fail(const char *why, const char *what)
{
    fprintf(stderr, "board_client: %s", why);
    for (; *what; what++) /* a board's text must not steer the terminal */
        putc(*what < ' ' || *what > '~' ? '?' : *what, stderr);
    putc('\n', stderr);
    exit(2);
}

static uint32_t crc32(const uint8_t *data, size_t size)
{
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t n = 0; n < 256; n++) {
            uint32_t c = n;
            for (int bit = 0; bit < 8; bit++)
                c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
            table[n] = c;
        }
    uint32_t crc = 0xFFFFFFFFu;
    while (size--)
        crc = table[(crc ^ *data++) & 0xFF] ^ crc >> 8;
    return ~crc;
}

/* Receive the answer to the last question; 0 where none came in time. Damaged and late ones are passed over. */
static int receive(struct header *h)
{
    for (int size; (size = zmq_recv(board, answer, sizeof answer - 1, 0)) >= 0;) {
        if (size < (int)sizeof *h || size >= (int)sizeof answer || memcmp(answer, "AMRQ\1", 5))
            continue;
        memcpy(h, answer, sizeof *h);
        memset(answer + offsetof(struct header, crc), 0, 4);
        if (h->payload_bytes != size - sizeof *h || crc32(answer, size) != h->crc)
            continue;
        if (h->session == session && h->sequence == sequence)
            return 1;
    }
    return 0;
}

/* Ask until there is an answer of the type that is wanted; its payload then stands behind the header in `answer`. */
static struct header ask(struct header h, const void *payload, int wanted)
{
    static uint8_t message[sizeof(struct header) + BATCH * (1 << 13)];
    struct header reply;
    memcpy(h.magic, "AMRQ", 4);
    h.version = 1;
    h.session = session;
    h.sequence = ++sequence;
    h.crc = 0;
    memcpy(message, &h, sizeof h);
    if (h.payload_bytes)
        memcpy(message + sizeof h, payload, h.payload_bytes);
    h.crc = crc32(message, sizeof h + h.payload_bytes);
    memcpy(message, &h, sizeof h);
    for (int tries = 0; tries < TRIES; tries++) {
        zmq_send(board, message, sizeof h + h.payload_bytes, 0);
        if (!receive(&reply))
            continue;
        if (reply.type == wanted)
            return reply;
        answer[sizeof reply + (reply.type == ERROR ? reply.payload_bytes : 0)] = 0;
        fail("the board refuses: ", (char *)answer + sizeof reply);
    }
    fail("no board answers", "");
    return reply;
}

/* Write samples as integers: x / scale, half to even, saturated. */
static size_t write_samples(const float *x, size_t count, int format, float scale, void *out)
{
    if (format == CF32)
        return memcpy(out, x, 4 * count), 4 * count;
    float low = format == CI8 ? -128 : -32768, high = -low - 1;
    for (size_t n = 0; n < count; n++) {
        float q = fminf(fmaxf(rintf(x[n] / scale), low), high);
        if (format == CI8)
            ((int8_t *)out)[n] = (int8_t)q;
        else
            ((int16_t *)out)[n] = (int16_t)q;
    }
    return (format == CI8 ? 1 : 2) * count;
}

int main(int argc, char **argv)
{
    int timeout = TIMEOUT_MS, linger = 0, format = 0;
    if (argc != 3)
        fail("usage: board_client ENDPOINT auto|ci8|ci16|cf32 < chunks.cf32", "");
    context = zmq_ctx_new();
    board = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(board, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(board, ZMQ_LINGER, &linger, sizeof linger);
    if (zmq_connect(board, argv[1]))
        fail("there can be no board at ", argv[1]);
    session = (uint64_t)time(NULL) << 32 ^ (uint64_t)(uintptr_t)board ^ (uint64_t)clock();

    struct capabilities can;
    struct header reply = ask((struct header){ .type = HELLO }, NULL, CAPABILITIES);
    if (reply.payload_bytes < sizeof can)
        fail("the board's capabilities are too short", "");
    memcpy(&can, answer + sizeof reply, sizeof can);
    for (int f = CF32; f >= CI8; f--) /* the smallest exact one comes last */
        if (!strcmp(argv[2], "auto") ? can.exact_formats & can.sample_formats & 1 << f
                                     : !strcmp(argv[2], (const char *[]){ "", "ci8", "ci16", "cf32" }[f]))
            format = f;
    if (!format || !(can.sample_formats & 1 << format))
        fail("the board does not take the format ", argv[2]);
    if (reply.flags)
        fail("the model takes level features, which this client does not make", "");
    if (can.chunk_length > 1024 || !(can.input_scale > 0))
        fail("the chunks are too long for this client, or have no scale", "");
    float scale = format == CF32 ? 1 : can.input_scale;
    if (format == CI8 && !(can.exact_formats & 1 << CI8) && scale < 1 / 64.f)
        scale = 1 / 64.f; /* finer steps would cut chunks off */
    size_t most = can.largest_batch < BATCH ? can.largest_batch : BATCH, numbers = 2 * can.chunk_length, count;
    float *samples = malloc(most * numbers * sizeof *samples);
    void *payload = malloc(most * numbers * sizeof *samples);

    for (uint64_t done = 0; (count = fread(samples, numbers * sizeof *samples, most, stdin)); done += count) {
        struct header h = { .type = CLASSIFY, .format = format, .sample_index = done * can.chunk_length,
                            .chunks = count, .chunk_length = can.chunk_length, .scale = scale };
        h.payload_bytes = write_samples(samples, count * numbers, format, scale, payload);
        reply = ask(h, payload, SCORES);
        size_t total = count * can.scores;
        if (reply.chunks != count || reply.scores != can.scores || reply.payload_bytes != 4 * total)
            fail("the scores answer another question", "");
        for (size_t n = 0; n < total; n++) {
            int32_t whole;
            float logit;
            memcpy(&whole, answer + sizeof reply + 4 * n, 4);
            memcpy(&logit, &whole, 4);
            logit = reply.format == INT32 ? whole * reply.scale : logit;
            printf("%.9g%c", logit, (n + 1) % can.scores ? ' ' : '\n');
        }
    }
    zmq_close(board);
    zmq_ctx_term(context);
    return 0;
}
