/* A bare Planhat that is not the limit: one thread, epoll, HTTP/1.1 on 127.0.0.1.
 *
 *     sink PORT LATENCY_MS [keys]
 *
 * A PUT of any path is answered after LATENCY_MS as a bulk upsert that created all items; with `keys` the answer names
 * each item's `_id`, as Planhat's does. GET /stats: {"calls", "items", "largest", "bytes"} of the PUTs so far.
 * GET /arrivals: [[externalId, ns], ...], when each item was here whole (CLOCK_MONOTONIC; the latency comes after).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST_BYTES 65536
#define MOST_ARRIVALS 1000000
#define NAME_BYTES 64
#define MARK "\"externalId\":"

typedef struct Connection {
    int fd;
    char *in;
    size_t have, room, need; /* need: of the request, head and body; 0: the head is not whole */
    size_t head;
    char *out;
    size_t out_size, out_sent;
    int64_t due; /* when `out` may go; 0: nothing to say */
    struct Connection *next;
} Connection;

typedef struct {
    char name[NAME_BYTES];
    int64_t at;
} Arrival;

static int poller, with_keys;
static int64_t latency;
static long calls, items, largest, arrival_count;
static long long bytes;
static Arrival *arrivals;
static Connection *all;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void watch(Connection *c, int how, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(poller, how, c->fd, &e);
}

static void hang_up(Connection *c) {
    Connection **at = &all;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

/* The answer's bytes, with room for a head before them. */
static void say(Connection *c, const char *body, size_t size, int64_t due) {
    c->out = malloc(size + 128);
    int head = sprintf(
        c->out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", size);
    memcpy(c->out + head, body, size);
    c->out_size = head + size;
    c->out_sent = 0;
    c->due = due;
}

static void upsert(Connection *c) {
    const char *at = c->in + c->head, *end = c->in + c->need;
    int64_t now = now_ns();
    long found = 0;
    char *keys = NULL;
    size_t keys_size = 0;
    FILE *list = with_keys ? open_memstream(&keys, &keys_size) : NULL;
    while ((at = memmem(at, end - at, MARK, sizeof MARK - 1))) {
        at += sizeof MARK - 1;
        found++;
        const char *name = at + 1;
        const char *close = *at == '"' ? memchr(name, '"', end - name) : NULL;
        size_t length = close ? (size_t)(close - name) : 0;
        if (list) {
            uint64_t hash = 14695981039346656037ULL; /* FNV-1a: the same conversation, the same _id */
            for (size_t n = 0; n < length; n++) hash = (hash ^ (unsigned char)name[n]) * 1099511628211ULL;
            fprintf(list, "%s{\"_id\":\"5f5f5f5f%016llx\",\"externalId\":\"%.*s\"}", found > 1 ? "," : "",
                    (unsigned long long)hash, (int)length, name);
        }
        if (arrival_count < MOST_ARRIVALS && length) {
            Arrival *a = &arrivals[arrival_count++];
            size_t kept = length < NAME_BYTES - 1 ? length : NAME_BYTES - 1;
            memcpy(a->name, name, kept);
            a->name[kept] = 0;
            a->at = now;
        }
    }
    if (list) fclose(list);
    calls++;
    items += found;
    bytes += (long long)(c->need - c->head);
    if (found > largest) largest = found;
    char *body = NULL;
    int size = asprintf(&body,
                        "{\"created\":%ld,\"createdErrors\":[],\"insertsKeys\":[%s],\"updated\":0,\"updatedErrors\":[],"
                        "\"updatesKeys\":[],\"nonupdates\":0,\"modified\":[],\"upsertedIds\":[],\"permissionErrors\":[]}",
                        found, keys ? keys : "");
    say(c, body, size, now + latency);
    free(body);
    free(keys);
}

static void answer(Connection *c) {
    char *body = NULL;
    size_t size = 0;
    if (!strncmp(c->in, "PUT ", 4)) {
        upsert(c);
        return;
    }
    FILE *text = open_memstream(&body, &size);
    if (!strncmp(c->in, "GET /stats", 10)) {
        fprintf(text, "{\"calls\":%ld,\"items\":%ld,\"largest\":%ld,\"bytes\":%lld}", calls, items, largest, bytes);
    } else if (!strncmp(c->in, "GET /arrivals", 13)) {
        fputc('[', text);
        for (long n = 0; n < arrival_count; n++)
            fprintf(text, "%s[\"%s\",%lld]", n ? "," : "", arrivals[n].name, (long long)arrivals[n].at);
        fputc(']', text);
    } else {
        fputs("[]", text);
    }
    fclose(text);
    say(c, body, size, 1);
    free(body);
}

/* 0 where the connection is gone. */
static int flush(Connection *c) {
    while (c->out_sent < c->out_size) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_size - c->out_sent, MSG_NOSIGNAL);
        if (n >= 0) {
            c->out_sent += (size_t)n;
        } else if (errno == EAGAIN) {
            watch(c, EPOLL_CTL_MOD, EPOLLOUT);
            return 1;
        } else if (errno != EINTR) {
            hang_up(c);
            return 0;
        }
    }
    free(c->out);
    c->out = NULL;
    c->due = 0;
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    return 1;
}

static void read_head(Connection *c) {
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    if (!end) return;
    c->head = end + 4 - c->in;
    c->need = c->head;
    for (char *line = memchr(c->in, '\n', end - c->in); line && line < end; line = memchr(line, '\n', end - line)) {
        line++;
        if (!strncasecmp(line, "content-length:", 15)) c->need = c->head + strtoul(line + 15, NULL, 10);
        if (!strncasecmp(line, "transfer-encoding:", 18)) {
            fprintf(stderr, "a body without a length is not understood\n");
            exit(1);
        }
    }
}

/* Reads what is there; answers a request that is whole. The sender waits for its answer before the next one. */
static void take(Connection *c) {
    for (;;) {
        size_t wanted = c->need > FIRST_BYTES ? c->need : FIRST_BYTES;
        if (c->room < wanted || c->have == c->room) {
            c->room = wanted > c->have ? wanted : c->have * 2;
            c->in = realloc(c->in, c->room);
        }
        ssize_t n = recv(c->fd, c->in + c->have, c->room - c->have, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            hang_up(c);
            return;
        }
        c->have += (size_t)n;
        if (!c->need) read_head(c);
        if (c->need && c->have >= c->need) {
            answer(c);
            c->have = c->need = 0;
            if (c->due <= now_ns()) flush(c);
            return;
        }
    }
}

/* Milliseconds until the next answer is due, rounded up; -1: none waits. */
static int wait_ms(void) {
    int64_t first = 0;
    for (Connection *c = all; c; c = c->next)
        if (c->due && (!first || c->due < first)) first = c->due;
    if (!first) return -1;
    int64_t left = first - now_ns();
    return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "sink PORT LATENCY_MS [keys]\n");
        return 2;
    }
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    latency = (int64_t)(atof(argv[2]) * 1e6);
    with_keys = argc > 3 && !strcmp(argv[3], "keys");
    arrivals = malloc(MOST_ARRIVALS * sizeof *arrivals);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 128) < 0) {
        perror("sink");
        return 1;
    }
    fcntl(listener, F_SETFL, O_NONBLOCK);
    poller = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    struct epoll_event ready[64];
    for (;;) {
        int n = epoll_wait(poller, ready, 64, wait_ms());
        for (int i = 0; i < n; i++) {
            Connection *c = ready[i].data.ptr;
            if (!c) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                c = calloc(1, sizeof *c);
                c->fd = fd;
                c->next = all;
                all = c;
                watch(c, EPOLL_CTL_ADD, EPOLLIN);
            } else if (ready[i].events & EPOLLOUT) {
                flush(c);
            } else {
                take(c);
            }
        }
        int64_t now = now_ns();
        for (Connection *c = all, *after; c; c = after) {
            after = c->next;
            if (c->due && c->due <= now && c->out_sent == 0) flush(c);
        }
    }
}
