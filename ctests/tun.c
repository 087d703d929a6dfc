/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network of our own behind a tun device: the device as a descriptor to watch, and connects that a
 * router answers. Linux, where the process may have a network namespace.
 */
#ifdef __linux__

#define SUITE "tun"
#include "suite.h"

#include "sockets.h"

#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <stdio.h>

static const char our_address[] = "10.9.8.1", their_address[] = "10.9.8.2";

static struct sockaddr_in address_of(const char *text, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    CHECK_EQ(inet_pton(AF_INET, text, &address.sin_addr), 1);
    return address;
}

/* The device of a new network, up; what is sent to their_address comes out of it. */
static int network(void)
{
    struct ifreq request;
    if (unshare(CLONE_NEWNET) == -1 && unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1)
        SKIP("no network namespace for us");
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    memset(&request, 0, sizeof request);
    snprintf(request.ifr_name, sizeof request.ifr_name, "conformance");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (fd == -1 || ioctl(fd, TUNSETIFF, &request) == -1)
        SKIP("no tun device");
    int control = OK(socket(AF_INET, SOCK_DGRAM, 0));
    struct sockaddr_in address = address_of(our_address, 0), mask = address_of("255.255.255.0", 0);
    memcpy(&request.ifr_addr, &address, sizeof address);
    OK(ioctl(control, SIOCSIFADDR, &request));
    memcpy(&request.ifr_netmask, &mask, sizeof mask);
    OK(ioctl(control, SIOCSIFNETMASK, &request));
    request.ifr_flags = IFF_UP;
    OK(ioctl(control, SIOCSIFFLAGS, &request));
    OK(close(control));
    return fd;
}

/* Waits for an IPv4 packet of this protocol from the device; its length. */
static size_t packet_of(int fd, uint8_t protocol, uint8_t *packet, size_t size)
{
    for (;;) {
        until_polled(fd, POLLIN);
        ssize_t length = OK(read(fd, packet, size));
        if (length >= 20 && packet[0] >> 4 == 4 && packet[9] == protocol)
            return (size_t)length;
    }
}

static uint16_t checksum(const uint8_t *bytes, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* A router's answer to the packet: "unreachable", with this code of ICMP. */
static void answer_unreachable(int fd, const uint8_t *packet, uint8_t code)
{
    uint8_t answer[20 + 8 + 28] = {0x45, 0, 0, sizeof answer, 0, 0, 0, 0, 64, IPPROTO_ICMP};
    uint16_t sum;
    memcpy(answer + 12, packet + 16, 4);
    memcpy(answer + 16, packet + 12, 4);
    sum = checksum(answer, 20);
    memcpy(answer + 10, &sum, 2);
    answer[20] = ICMP_DEST_UNREACH;
    answer[21] = code;
    memcpy(answer + 28, packet, 28);
    sum = checksum(answer + 20, sizeof answer - 20);
    memcpy(answer + 22, &sum, 2);
    CHECK_EQ(write(fd, answer, sizeof answer), sizeof answer);
}

/* 3.9 A tun device is ready with a packet; it is ready to write. */
TEST(device_is_readable, "3.9")
{
    uint8_t packet[2048];
    struct kevent ev;
    int fd = network(), kq = queue();
    int sender = OK(socket(AF_INET, SOCK_DGRAM, 0));
    struct sockaddr_in there = address_of(their_address, 9);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    OK(sendto(sender, "hello", 5, 0, (struct sockaddr *)&there, sizeof there));
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
    CHECK_EQ(packet_of(fd, IPPROTO_UDP, packet, sizeof packet), 20 + 8 + 5);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    wait_event(kq, &ev);
    EXPECT_EVENT_ANY(ev, fd, EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
}

/* 3.3 4.2 A connect to a host that a router cannot reach: EHOSTUNREACH, left to SO_ERROR. */
TEST(unreachable_host, "3.3 4.2")
{
    uint8_t packet[2048];
    struct kevent ev[4];
    int device = network(), kq = queue();
    struct address there = {.size = sizeof(struct sockaddr_in)};
    struct sockaddr_in name = address_of(their_address, 80);
    memcpy(&there.storage, &name, sizeof name);
    int fd = new_socket(TCP);
    begin_connect(fd, &there);
    packet_of(device, IPPROTO_TCP, packet, sizeof packet);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    nothing(kq);
    answer_unreachable(device, packet, ICMP_HOST_UNREACH);
    until_polled(fd, POLLERR);
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(collect(kq, ev, 4), 2);
        EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD | EV_EOF, EHOSTUNREACH, 0,
                     0xfeed);
        EXPECT_EVENT_ANY(*find_event(ev, 2, fd, EVFILT_WRITE), fd, EVFILT_WRITE, EV_ADD | EV_EOF, EHOSTUNREACH,
                         0, 0xbeef, ANY_DATA);
    }
    CHECK_EQ(take_error(fd), EHOSTUNREACH);
}

#else
typedef int tun_is_for_linux;
#endif
