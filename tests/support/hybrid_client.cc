// SPDX-License-Identifier: Apache-2.0
#include "tests/support/hybrid_client.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <utility>

#include "tests/support/unix_socket.h"

namespace kinsock::testing {
namespace {

// Bytes per system call, and system calls per turn: a host program does not hog the stage.
constexpr uint64_t kChunk = 64 * 1024;
constexpr int kChunksPerTurn = 16;

}  // namespace

HybridClient::HybridClient(Stage& stage, const std::string& path) : HybridClient(stage, ConnectTo(path)) {}

HybridClient::HybridClient(Stage& stage, UniqueFd socket) : stage_(stage), socket_(std::move(socket)) {
  // Whoever made it: nobody on the stage waits for one actor.
  fcntl(socket_.get(), F_SETFL, fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
  stage_.Enter(*this);
}

HybridClient::~HybridClient() { stage_.Leave(*this); }

void HybridClient::Connect(uint32_t port) {
  awaiting_ok_ = true;
  Send("CONNECT " + std::to_string(port) + "\n");
}

void HybridClient::Close() {
  while (Write() && !outgoing_.empty()) {
  }
  socket_.reset();
}

void HybridClient::Abort() {
  outgoing_.Clear();
  socket_.reset();
}

bool HybridClient::Poll() {
  if (!socket_.valid()) return false;
  const bool wrote = Write();
  return Read() || wrote;
}

bool HybridClient::Write() {
  bool happened = false;
  for (int i = 0; i < kChunksPerTurn && !outgoing_.empty() && !broken_; ++i) {
    std::string chunk = outgoing_.Take(kChunk);
    const ssize_t sent = send(socket_.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      broken_ = errno != EAGAIN;
      outgoing_.PutBack(std::move(chunk));
      break;
    }
    happened = true;
    outgoing_.PutBack(chunk.substr(static_cast<size_t>(sent)));
  }
  if (outgoing_.empty() && send_closing_ && !send_closed_) {
    send_closed_ = true;
    shutdown(socket_.get(), SHUT_WR);
    happened = true;
  }
  return happened;
}

bool HybridClient::Read() {
  bool happened = false;
  std::string chunk(kChunk, '\0');
  for (int i = 0; i < kChunksPerTurn && reading_ && !eof_; ++i) {
    const ssize_t size = recv(socket_.get(), chunk.data(), chunk.size(), 0);
    if (size < 0 && errno == EAGAIN) break;
    happened = true;
    if (size <= 0) {
      eof_ = true;
      if (size < 0) broken_ = true;
      break;
    }
    TakeIn(std::string_view(chunk).substr(0, static_cast<size_t>(size)));
  }
  return happened;
}

void HybridClient::TakeIn(std::string_view bytes) {
  while (awaiting_ok_ && !bytes.empty()) {
    line_ += bytes.front();
    bytes.remove_prefix(1);
    if (line_.back() != '\n') continue;
    awaiting_ok_ = false;
    uint32_t port = 0;
    const char* end = line_.data() + line_.size() - 1;
    const bool ok = line_.starts_with("OK ") && std::from_chars(line_.data() + 3, end, port).ptr == end;
    if (ok) {
      ok_port_ = port;
    } else {
      incoming_.Feed(line_);  // not an answer: the test will want to see it
    }
  }
  incoming_.Feed(bytes);
}

void HybridClient::AppendAwaited(std::vector<pollfd>& fds) const {
  if (!socket_.valid()) return;
  short events = reading_ && !eof_ ? POLLIN : 0;
  if (!outgoing_.empty() && !broken_) events |= POLLOUT;
  if (events != 0) fds.push_back({socket_.get(), events, 0});
}

std::string HybridClient::Describe() const {
  return "host program: unsent " + std::to_string(outgoing_.size()) + " received " + std::to_string(incoming_.size()) +
         (ok_port_ ? " ok" : "") + (eof_ ? " eof" : "") + (broken_ ? " broken" : "");
}

HybridListener::HybridListener(const std::string& uds_path, uint32_t port, int backlog, int type)
    : path_(uds_path + "_" + std::to_string(port)), socket_(ListenAt(path_, backlog, type)) {}

std::optional<UniqueFd> HybridListener::TryAccept() {
  UniqueFd accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted.valid()) return std::nullopt;
  return accepted;
}

}  // namespace kinsock::testing
