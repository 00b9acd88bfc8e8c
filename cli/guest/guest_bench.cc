// SPDX-License-Identifier: Apache-2.0
#include "cli/guest/guest_bench.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

// As much as a connection to a guest has under way.
constexpr size_t kChunkBytes = 64 * 1024;
// A server's backlog may be full for a moment; one that is full so often in a row is none.
constexpr int kMostRefusalsInARow = 200;
constexpr int kPauseMs = 2;

constexpr char kNoAnswer[] = "nothing came back; what serves the port is no echo";
constexpr char kBrokeOff[] = "the guest ended the connection, or reads no more";

double SecondsSince(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

// Waits for one descriptor. False: not in time.
bool Await(int fd, int16_t events, std::chrono::milliseconds time) {
  pollfd one{fd, events, 0};
  return poll(&one, 1, static_cast<int>(time.count())) == 1;
}

// Reads what comes until the peer has ended. False: it does not end in time.
bool AwaitEnd(int fd, std::chrono::milliseconds time) {
  char rest[4096];
  const auto begun = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begun < time) {
    if (!Await(fd, POLLIN, time)) return false;
    const ssize_t bytes = recv(fd, rest, sizeof(rest), MSG_DONTWAIT);
    if (bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR)) return true;
  }
  return false;
}

}  // namespace

// One of the connections of a measurement.
struct GuestBench::Line {
  UniqueFd fd;
  size_t received = 0;  // of a round trip
  Clock::time_point sent_at;
  bool send_ended = false;
  bool ended = false;
};

bool GuestBench::Open(std::vector<Line>& lines, BenchResult& result) {
  for (size_t i = 0; i < settings_.connections; ++i) {
    Line line;
    if (dial_(line.fd) != Dialled::kConnected) {
      result.fault = absl::StrCat("the guest took ", i, " of ", settings_.connections, " connections");
      return false;
    }
    lines.push_back(std::move(line));
  }
  return true;
}

void GuestBench::Tell(const char* what, Clock::time_point begun) const {
  if (!progress_.is_seen()) return;
  progress_.Say(absl::StrCat(what, ": ", static_cast<int>(SecondsSince(begun)), " of ",
                             std::chrono::duration_cast<std::chrono::seconds>(settings_.time).count(), " s"));
}

BenchResult GuestBench::RoundTrips() {
  BenchResult result;
  std::vector<Line> lines;
  if (!Open(lines, result)) return result;
  std::string message(settings_.message_bytes, '\0'), got(settings_.message_bytes, '\0');
  for (size_t i = 0; i < message.size(); ++i) message[i] = static_cast<char>('a' + i % 26);
  std::vector<pollfd> fds;
  const auto send_one = [&](Line& line) {
    line.received = 0;
    line.sent_at = Clock::now();
    // It has room: all that was sent before has come back. Unless the guest answers what it has not read.
    return send(line.fd.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
           static_cast<ssize_t>(message.size());
  };
  for (Line& line : lines) {
    fds.push_back({line.fd.get(), POLLIN, 0});
    if (!send_one(line)) result.fault = kBrokeOff;
  }
  const auto begun = Clock::now(), deadline = begun + settings_.time;
  while (result.fault.empty() && Clock::now() < deadline) {
    Tell("round trips", begun);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (poll(fds.data(), fds.size(), static_cast<int>(std::max<int64_t>(left.count(), 0)) + 1) <= 0) continue;
    for (size_t i = 0; i < lines.size(); ++i) {
      if (fds[i].revents == 0) continue;
      Line& line = lines[i];
      const ssize_t bytes = recv(line.fd.get(), got.data(), message.size() - line.received, MSG_DONTWAIT);
      if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (bytes <= 0) {
        result.fault = kBrokeOff;
        break;
      }
      if (memcmp(got.data(), message.data() + line.received, static_cast<size_t>(bytes)) != 0) {
        result.fault = "something else came back than was sent; what serves the port is no echo";
        break;
      }
      line.received += static_cast<size_t>(bytes);
      if (line.received < message.size()) continue;
      result.latency.Add(Clock::now() - line.sent_at);
      ++result.count;
      if (!send_one(line)) result.fault = kBrokeOff;
    }
  }
  result.seconds = SecondsSince(begun);
  if (result.count == 0 && result.fault.empty()) result.fault = kNoAnswer;
  return result;
}

BenchResult GuestBench::Connections() {
  BenchResult result;
  const auto begun = Clock::now(), deadline = begun + settings_.time;
  int in_a_row = 0;
  while (Clock::now() < deadline) {
    Tell("connections", begun);
    UniqueFd fd;
    const auto called = Clock::now();
    const Dialled end = dial_(fd);
    if (end != Dialled::kConnected) {
      ++result.refused;
      if (end != Dialled::kRefused || ++in_a_row > kMostRefusalsInARow) {
        result.fault =
            end == Dialled::kRefused ? "the guest takes no connections any more" : "the guest does not answer";
        break;
      }
      poll(nullptr, 0, kPauseMs);
      continue;
    }
    in_a_row = 0;
    result.latency.Add(Clock::now() - called);
    ++result.count;
    if (settings_.server == BenchServer::kSource) continue;  // which would never end
    // The server has done with it, too, before the next begins.
    shutdown(fd.get(), SHUT_WR);
    if (!AwaitEnd(fd.get(), kPatience)) {
      result.fault = "the guest does not end connections that are ended";
      break;
    }
  }
  result.seconds = SecondsSince(begun);
  return result;
}

BenchResult GuestBench::Bytes() {
  BenchResult result;
  std::vector<Line> lines;
  if (!Open(lines, result)) return result;
  const bool sends = settings_.server != BenchServer::kSource;
  const bool counts_sent = settings_.server == BenchServer::kDiscard;
  std::vector<char> out(kChunkBytes, 'k'), in(kChunkBytes);
  std::vector<pollfd> fds;
  for (Line& line : lines) fds.push_back({line.fd.get(), static_cast<int16_t>(POLLIN | (sends ? POLLOUT : 0)), 0});
  const auto begun = Clock::now(), deadline = begun + settings_.time, end = deadline + kPatience;
  size_t open = lines.size();
  while (open > 0 && result.fault.empty()) {
    const auto now = Clock::now();
    if (now >= end || (now >= deadline && !sends)) break;
    Tell("bytes", begun);
    if (poll(fds.data(), fds.size(), 100) < 0 && errno != EINTR) break;
    for (size_t i = 0; i < lines.size(); ++i) {
      Line& line = lines[i];
      const int fd = line.fd.get();
      if (!line.send_ended && sends && Clock::now() >= deadline) {
        line.send_ended = true;
        fds[i].events = POLLIN;
        shutdown(fd, SHUT_WR);
      } else if (!line.send_ended && (fds[i].revents & POLLOUT) != 0) {
        const ssize_t sent = send(fd, out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0 && counts_sent) result.bytes += static_cast<uint64_t>(sent);
      }
      if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      const ssize_t got = recv(fd, in.data(), in.size(), MSG_DONTWAIT);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got > 0 && !counts_sent) result.bytes += static_cast<uint64_t>(got);
      if (got > 0) continue;
      if (!line.send_ended) result.fault = kBrokeOff;
      fds[i].fd = -1;
      --open;
    }
  }
  result.seconds = SecondsSince(begun);
  if (open > 0 && sends && result.fault.empty()) result.fault = "the guest does not end connections that are ended";
  if (result.bytes == 0 && result.fault.empty()) result.fault = "nothing went through";
  return result;
}

}  // namespace kinsock
