/* A load generator that is not the limit: one thread, epoll, HTTP/1.1 over kept-alive connections to 127.0.0.1.
 *
 *     load PORT FILE CONNECTIONS RATE TIMES
 *
 * FILE holds whole requests, each after its length (4 bytes, little-endian); all of them are sent TIMES times over.
 * RATE 0: closed loop, each connection sends its next request when it has its answer. Otherwise RATE requests a second,
 * each at a time set beforehand; where no connection is free it waits, and its latency counts from the time set.
 *
 * Prints JSON: began_ns and took_s (CLOCK_MONOTONIC), errors (requests whose connection broke), statuses, and
 * latencies_ns by request in the order of sending, -1 without an answer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES 16384
#define READ_BYTES 65536
#define SILENCE_MS 30000
#define MOST_ERRORS 1000

typedef struct {
    int fd;
    long request;   /* the number of the request under way, -1: idle */
    size_t sent;    /* bytes of it that are out */
    int wants_out;  /* EPOLLOUT is asked for */
    int64_t from;   /* what its latency counts from */
    int status;
    long body_left; /* -1: the head is still being read */
    size_t have;
    char head[HEAD_BYTES];
} Connection;

static int port, poller, timer = -1;
static double rate;
static long count, total, next_request, done, errors;
static const char **texts;
static uint32_t *lengths;
static int64_t *latencies, began;
static long statuses[1000];
static Connection *connections;
static int *idle, idle_count; /* a stack: the one used last is used next, as a sender with a pool would */

static void die(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputc('\n', stderr);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t due_ns(long number) { return began + (int64_t)((double)number * 1e9 / rate); }

static void watch(Connection *c, int how, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, how, c->fd, &e) < 0) die("epoll: %s", strerror(errno));
}

static void open_connection(Connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("cannot connect to port %d: %s", port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
    c->request = -1;
    c->have = 0;
    c->body_left = -1;
    c->wants_out = 0;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void finished(Connection *c);

static void broken(Connection *c) {
    close(c->fd);
    if (c->request < 0) { /* a server may end an idle connection; no request suffered */
        open_connection(c);
        return;
    }
    if (++errors > MOST_ERRORS) die("the server broke %d connections under way", MOST_ERRORS);
    open_connection(c);
    finished(c);
}

static void push(Connection *c) {
    const char *text = texts[c->request % count];
    size_t length = lengths[c->request % count];
    while (c->sent < length) {
        ssize_t n = send(c->fd, text + c->sent, length - c->sent, MSG_NOSIGNAL);
        if (n >= 0) {
            c->sent += (size_t)n;
        } else if (errno == EAGAIN) {
            if (!c->wants_out) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            c->wants_out = 1;
            return;
        } else if (errno != EINTR) {
            return; /* the read that follows finds the connection broken */
        }
    }
    if (c->wants_out) watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->wants_out = 0;
}

static void start(Connection *c, int64_t from) {
    c->request = next_request++;
    c->from = from;
    c->sent = 0;
    c->have = 0;
    c->body_left = -1;
    push(c);
}

static void finished(Connection *c) {
    done++;
    c->request = -1;
    if (rate > 0)
        idle[idle_count++] = (int)(c - connections);
    else if (next_request < total)
        start(c, now_ns());
}

static long read_head(char *head, char *end) {
    long length = 0;
    for (char *line = memchr(head, '\n', end - head); line && line + 1 < end; line = memchr(line, '\n', end - line)) {
        line++;
        if (!strncasecmp(line, "content-length:", 15)) length = strtol(line + 15, NULL, 10);
        if (!strncasecmp(line, "transfer-encoding:", 18)) die("an answer without a length is not understood");
    }
    return length;
}

static void take(Connection *c) {
    static char more[READ_BYTES];
    for (;;) {
        int in_head = c->body_left < 0;
        char *into = in_head ? c->head + c->have : more;
        size_t room = in_head ? HEAD_BYTES - c->have : READ_BYTES;
        if (room == 0) die("an answer's head is larger than %d bytes", HEAD_BYTES);
        ssize_t n = recv(c->fd, into, room, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            broken(c);
            return;
        }
        if (c->request < 0) die("the server answered what was not asked");
        long got = n;
        if (in_head) {
            c->have += (size_t)n;
            char *end = memmem(c->head, c->have, "\r\n\r\n", 4);
            if (!end) continue;
            c->status = c->have > 12 ? atoi(c->head + 9) : 0;
            c->body_left = read_head(c->head, end);
            got = (long)(c->have - (size_t)(end + 4 - c->head));
        }
        c->body_left -= got;
        if (c->body_left < 0) die("an answer is longer than it says");
        if (c->body_left == 0) {
            int64_t now = now_ns();
            latencies[c->request] = now - c->from;
            if (c->status > 0 && c->status < 1000) statuses[c->status]++;
            finished(c);
            return; /* one request is under way at a time: nothing more is to be read */
        }
    }
}

static void send_due(void) {
    while (next_request < total && idle_count && due_ns(next_request) <= now_ns())
        start(&connections[idle[--idle_count]], due_ns(next_request));
    if (next_request < total && idle_count) {
        int64_t at = due_ns(next_request);
        struct itimerspec when = {.it_value = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
    }
}

static void read_requests(const char *path, long times) {
    int fd = open(path, O_RDONLY);
    struct stat found;
    if (fd < 0 || fstat(fd, &found) < 0 || found.st_size == 0) die("%s: cannot be read", path);
    /* Populated: a page fault while sending would count as the server's time. */
    const char *all = mmap(NULL, found.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (all == MAP_FAILED) die("%s: %s", path, strerror(errno));
    for (int pass = 0; pass < 2; pass++) {
        long n = 0;
        for (off_t at = 0; at + 4 <= found.st_size; n++) {
            uint32_t length;
            memcpy(&length, all + at, 4);
            if (at + 4 + (off_t)length > found.st_size) die("%s: cut off", path);
            if (pass) {
                texts[n] = all + at + 4;
                lengths[n] = length;
            }
            at += 4 + length;
        }
        count = n;
        if (!pass) {
            texts = calloc(n, sizeof *texts);
            lengths = calloc(n, sizeof *lengths);
        }
    }
    total = count * times;
    latencies = malloc(total * sizeof *latencies);
    for (long n = 0; n < total; n++) latencies[n] = -1;
}

int main(int argc, char **argv) {
    if (argc != 6) die("load PORT FILE CONNECTIONS RATE TIMES");
    port = atoi(argv[1]);
    int wanted = atoi(argv[3]);
    rate = atof(argv[4]);
    read_requests(argv[2], atol(argv[5]));
    if (wanted > total) wanted = (int)total;
    poller = epoll_create1(0);
    connections = calloc(wanted, sizeof *connections);
    idle = calloc(wanted, sizeof *idle);
    for (int n = 0; n < wanted; n++) open_connection(&connections[n]);
    if (rate > 0) {
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
        epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
        for (int n = wanted; n--;) idle[idle_count++] = n;
    }
    began = now_ns();
    if (rate > 0)
        send_due();
    else
        for (int n = 0; n < wanted; n++) start(&connections[n], now_ns());
    struct epoll_event ready[256];
    while (done < total) {
        int n = epoll_wait(poller, ready, 256, SILENCE_MS);
        if (n < 0 && errno != EINTR) die("epoll: %s", strerror(errno));
        if (n == 0) die("no answer for %d s", SILENCE_MS / 1000);
        for (int i = 0; i < n; i++) {
            Connection *c = ready[i].data.ptr;
            if (!c) {
                uint64_t ticks;
                if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
                continue;
            }
            if ((ready[i].events & EPOLLOUT) && c->request >= 0) push(c);
            if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) take(c);
        }
        if (rate > 0) send_due();
    }
    double took_s = (double)(now_ns() - began) / 1e9;
    printf("{\"began_ns\":%lld,\"took_s\":%.9f,\"errors\":%ld,\"statuses\":{", (long long)began, took_s, errors);
    const char *comma = "";
    for (int status = 1; status < 1000; status++)
        if (statuses[status]) {
            printf("%s\"%d\":%ld", comma, status, statuses[status]);
            comma = ",";
        }
    printf("},\"latencies_ns\":[");
    for (long n = 0; n < total; n++) printf(n ? ",%lld" : "%lld", (long long)latencies[n]);
    printf("]}\n");
    return 0;
}
