// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_API_GREETER_H_
#define KINSOCK_SERVER_RPC_API_GREETER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>

#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace kinsock {

// Whether a client has acknowledged a SETTINGS frame in what it has sent so far, its connection preface first (RFC
// 9113, sections 3.4 and 6.5.3).
enum class Acknowledged : uint8_t {
  kNo,     // but it may still
  kYes,    //
  kNever,  // this is not HTTP/2
};
Acknowledged AcknowledgesSettings(std::string_view received);

// Stands before gRPC and tells each client how many calls it may have, until it says that it has heard it.
//
// gRPC 1.51.1 holds a client to SETTINGS_MAX_CONCURRENT_STREAMS only once the client has acknowledged SETTINGS. One
// that never does could open calls without end, at 13 KiB each. So the first SETTINGS frame comes from here (the
// server's preface may be followed by any number of them), and a connection goes on to gRPC when the acknowledgement is
// there. What the client sends meanwhile is looked at where it lies, in the socket: gRPC reads all of it, and takes the
// acknowledgement for one of its own frame. Should a thread be held up just when gRPC is about to write that frame, it
// may read the acknowledgement first, which then counts for nothing until the client sends another: the calls of that
// connection are bounded by kMaxApiBytes alone. A client that sends as much as its socket holds before it reads at all
// cannot acknowledge. Those of gRPC read SETTINGS before their first call, but for channels made of a descriptor.
//
// Who is hung up on although this may be HTTP/2 is told why by GOAWAY (RFC 9113, section 6.8).
//
// Thread: main.
class ApiGreeter {
 public:
  using OnGreeted = std::function<void(UniqueFd)>;

  // How long a client has for its acknowledgement. Beyond: hung up on.
  static constexpr std::chrono::seconds kPatience{10};
  // What a client may send before it: some send their first calls without waiting, of which HTTP/2 lets 65,535 bytes
  // and their headers through. Beyond: hung up on.
  static constexpr size_t kMaxBytes = 96 << 10;
  // How often what it has sent is looked at again, each time from the beginning. Beyond: hung up on.
  static constexpr int kMaxLooks = 64;

  // `loop` outlives the greeter.
  ApiGreeter(EventLoop& loop, OnGreeted on_greeted);
  ~ApiGreeter();

  // Greets at the other end of the non-blocking `connection`.
  void Greet(UniqueFd connection);

  // Connections that have not acknowledged yet.
  size_t waiting() const { return guests_.size(); }

 private:
  class Guest;

  // Ends `guest`, which is no more after this; his connection goes on, or is closed.
  void Settle(Guest& guest, bool greeted);

  EventLoop& loop_;
  const OnGreeted on_greeted_;
  std::map<Guest*, std::unique_ptr<Guest>> guests_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_API_GREETER_H_
