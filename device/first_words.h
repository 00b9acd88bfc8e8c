// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_FIRST_WORDS_H_
#define KINSOCK_DEVICE_FIRST_WORDS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>

#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace kinsock {

// Accepted connections that have not said yet what they want. Most say it at once; some are probes that never
// will, and must cost little. Thread: that of the loop.
class FirstWords {
 public:
  struct Verdict {
    enum class Action : uint8_t { kWait, kTake, kDrop };
    Action action;
    uint32_t value = 0;  // of the caller's choice, for Take
  };
  // Looks at what connection `fd` has sent so far, and leaves in the socket what it does not understand.
  // `no_more`: the other end sends nothing further.
  using Judge = std::function<Verdict(int fd, bool no_more)>;
  using Take = std::function<void(UniqueFd connection, uint32_t value)>;

  struct Limits {
    size_t connections;                 // one more, and the oldest gives way
    std::chrono::milliseconds timeout;  // then the connection is dropped; zero: never
  };

  FirstWords(EventLoop& loop, const Limits& limits, Judge judge, Take take);
  ~FirstWords();

  void Add(UniqueFd connection);

 private:
  class Connection;

  void Drop(Connection& connection);

  EventLoop& loop_;
  const Limits limits_;
  const Judge judge_;
  const Take take_;
  std::list<std::unique_ptr<Connection>> waiting_;  // oldest first
  std::list<std::unique_ptr<Connection>> dead_;     // until the event that ended them has been handled
  std::shared_ptr<Wakeup> reap_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_FIRST_WORDS_H_
