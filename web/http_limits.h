// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_HTTP_LIMITS_H_
#define KINSOCK_WEB_HTTP_LIMITS_H_

#include <chrono>
#include <cstddef>

namespace kinsock {

// What one client of the HTTP socket, or all of them, may take.

// Connections of one user id. A browser keeps six, a scraper one. Beyond: closed at once.
inline constexpr size_t kMaxHttpConnectionsPerUid = 64;
// Connections over TCP, whose users nobody knows. Beyond: as above.
inline constexpr size_t kMaxHttpTcpConnections = 64;
// Connections of all: a descriptor and the head of a request each. Beyond: as above.
inline constexpr size_t kMaxHttpConnections = 128;
// The request line and its headers; browsers send less than a tenth. Beyond: 431, by closing.
inline constexpr size_t kMaxHttpHeadBytes = 8192;
// How long a client may take to say what it wants. Beyond: closed.
inline constexpr std::chrono::seconds kHttpRequestTime{5};
// How long it may take to read the answer. Beyond: closed.
inline constexpr std::chrono::seconds kHttpAnswerTime{10};
// Answers that are not read yet, of all clients: those of one scrape of 16,384 VMs fit. Beyond: 503 until some are.
inline constexpr size_t kMaxHttpUnreadBytes = 96u << 20;
// How long the daemon's main thread may take to say how things are. Beyond: 503.
inline constexpr std::chrono::milliseconds kControlPatience{2000};
// Of this age, what was said to one client is still good for another: however many ask, the main thread is asked
// ten times a second at most.
inline constexpr std::chrono::milliseconds kSampleAge{100};

}  // namespace kinsock

#endif  // KINSOCK_WEB_HTTP_LIMITS_H_
