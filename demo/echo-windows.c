/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TCP echo server on Windows, and its clients: one kqueue each, in two threads. To be read beside demo.c, which shows
 * the other filters.
 *
 *     echo-windows [CLIENTS]        200, unless told otherwise
 */
#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include <sys/event.h>

#include <errno.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5, MOST = 1000 };

static int clients = 200;
static struct sockaddr_in address;

static void fail(const char *what)
{
    fprintf(stderr, "%s failed: errno %d, WSA %d\n", what, errno, WSAGetLastError());
    exit(1);
}

static void change(int kq, SOCKET socket, short filter, unsigned short flags)
{
    struct kevent change;
    EV_SET(&change, socket, filter, flags, 0, 0, NULL);
    if (kevent(kq, &change, 1, NULL, 0, NULL) == -1)
        fail("kevent");
}

/* Echoes until every client has come and gone. */
static DWORD WINAPI serve(void *argument)
{
    SOCKET listener = *(SOCKET *)argument;
    int kq = kqueue(), gone = 0;
    if (kq == -1)
        fail("kqueue");
    change(kq, listener, EVFILT_READ, EV_ADD);
    while (gone < clients) {
        struct kevent events[64];
        int count = kevent(kq, NULL, 0, events, 64, NULL);
        if (count == -1)
            fail("kevent");
        for (int i = 0; i < count; i++) {
            char bytes[4096];
            SOCKET socket = (SOCKET)events[i].ident;
            if (socket == listener) {
                SOCKET client = accept(listener, NULL, NULL);
                if (client == INVALID_SOCKET)
                    fail("accept");
                change(kq, client, EVFILT_READ, EV_ADD);
            } else if (events[i].data > 0) {
                int got = recv(socket, bytes, sizeof bytes, 0);
                if (got > 0 && send(socket, bytes, got, 0) != got)
                    fail("send");
            } else if (events[i].flags & EV_EOF) {
                closesocket(socket); /* and its event with it */
                gone++;
            }
        }
    }
    _close(kq);
    return 0;
}

int main(int argc, char **argv)
{
    static const char hello[] = "hello, kqueue\n";
    static SOCKET sockets[MOST];
    static int answers[MOST];
    WSADATA data;
    int size = sizeof address, done = 0, kq;
    if (argc > 1)
        clients = atoi(argv[1]) < MOST ? atoi(argv[1]) : MOST;
    WSAStartup(0x0202, &data);
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, SOMAXCONN) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("listen");
    HANDLE server = CreateThread(NULL, 0, serve, &listener, 0, NULL);
    kq = kqueue();
    if (kq == -1)
        fail("kqueue");
    for (int i = 0; i < clients; i++) {
        struct kevent add;
        sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(sockets[i], (struct sockaddr *)&address, size) != 0)
            fail("connect");
        EV_SET(&add, sockets[i], EVFILT_READ, EV_ADD, 0, 0, &answers[i]);
        if (kevent(kq, &add, 1, NULL, 0, NULL) == -1)
            fail("kevent");
    }
    for (int i = 0; i < clients; i++)
        send(sockets[i], hello, sizeof hello, 0);
    while (done < clients) {
        struct kevent events[64];
        struct timespec patience = {30, 0};
        int count = kevent(kq, NULL, 0, events, 64, &patience);
        if (count < 1)
            fail("waiting for an answer");
        for (int i = 0; i < count; i++) {
            char bytes[sizeof hello] = "";
            SOCKET socket = (SOCKET)events[i].ident;
            int *answered = events[i].udata;
            if (events[i].data < (intptr_t)sizeof hello)
                continue;
            if (recv(socket, bytes, sizeof bytes, 0) != sizeof hello || memcmp(bytes, hello, sizeof hello) != 0)
                fail("the echo");
            if (++*answered < ROUNDS) {
                send(socket, hello, sizeof hello, 0);
            } else {
                closesocket(socket);
                done++;
            }
        }
    }
    WaitForSingleObject(server, INFINITE);
    printf("%d clients, %d echoes each\n", clients, ROUNDS);
    _close(kq);
    return 0;
}
