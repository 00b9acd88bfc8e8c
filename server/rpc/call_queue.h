// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_CALL_QUEUE_H_
#define KINSOCK_SERVER_RPC_CALL_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/caller.h"

namespace kinsock {

// In which order main gets to the calls that have one answer: callers take turns, and so do the connections of one
// caller. Nobody's call waits for more than one of each other caller, and main looks at all else between two calls.
//
//     Enter ----> waits ---- its turn, on main ----> open ---- Leave: its client has the answer, or is gone
//       '-> refused '-> Withdraw: its client is gone
//
// A call is open until gRPC is through with it, not until main is: an answer that its client does not read is memory of
// ours, and so is a call that was reset and is still here. The line of a connection stands still while it has as many
// calls open, or as many bytes unread, as it may. Its calls wait then: nothing is refused to a client that only has
// many calls at a time. A caller may have as much as four of his connections, so that one program that reads nothing
// does not stop all of its user's. Where all callers together have reached a limit, each still has one call open, and
// one waiting on each connection: a crowd can make others slow, and not stop them.
//
// Any thread, but for the calls' turns.
class CallQueue {
 public:
  // Of one connection, and of all its caller's, of all callers.
  struct Limits {
    size_t open_of_viewer = kMaxOpenCallsOfViewer;
    size_t open_of_operator = kMaxOpenCallsOfOperator;
    size_t waiting = kMaxWaitingCalls;
    size_t request_bytes = kMaxHeldRequestBytes;
    size_t unread_bytes = kMaxUnreadBytes;
    size_t per_caller = kConnectionsWorthOfACaller;  // times as much
    size_t all_open = kMaxOpenCallsOfAll;
    size_t all_waiting = kMaxWaitingCallsOfAll;
    size_t all_request_bytes = kMaxHeldRequestBytesOfAll;
    size_t all_unread_bytes = kMaxUnreadBytesOfAll;
  };

  class Call;

  CallQueue() : CallQueue(Limits()) {}
  explicit CallQueue(const Limits& limits) : limits_(limits) {}
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  // `call` of `caller`, by the connection that gRPC calls `peer`, with a request of `request_bytes`, waits until main
  // gets to it, and runs there. `main` is the same for all calls, and outlives them. RESOURCE_EXHAUSTED QUOTA_EXCEEDED
  // {limit, value} with RetryInfo: too many wait already; `call` has not entered.
  absl::Status Enter(EventLoop& main, const Caller& caller, const std::string& peer, size_t request_bytes, Call& call);

  // True: `call` was waiting, and will not run.
  bool Withdraw(Call& call);

  // `call`, which has run, has an answer of so many bytes. Once, before its client can have it.
  void Answered(Call& call, size_t bytes);

  // gRPC is through with `call`, whatever became of it.
  void Leave(Call& call);

  struct Stats {
    size_t waiting = 0;
    size_t open = 0;
    size_t request_bytes = 0;  // of both
    size_t unread_bytes = 0;
    uint64_t refused = 0;  // since the start
  };
  Stats stats() const;

 private:
  struct Held {
    size_t waiting = 0;
    size_t open = 0;
    size_t request_bytes = 0;  // of both
    size_t unread_bytes = 0;
  };
  struct Line {
    std::list<Call*> waiting;
    Held held;
  };
  using Lines = std::map<std::string, Line>;  // by connection
  struct Account {
    size_t max_open = 0;  // of a connection, by the role with the newest call
    Lines lines;
    std::string last;  // whose turn it was
    Held held;
  };
  using Key = std::tuple<Caller::Transport, uid_t, std::string>;
  using Accounts = std::map<Key, Account>;
  struct Turn {
    Accounts::iterator account;
    Lines::iterator line;
  };

  bool MayRun(const Account& account, const Held& all) const;
  bool MayRun(const Account& account, const Line& line) const;
  std::optional<Turn> FindNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckRoom(const Caller& caller, const Account& account, const Line& line, size_t request_bytes) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Refuse(const Caller& caller, absl::Status refusal);
  void Schedule(EventLoop& main) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunNext(EventLoop& main);
  void ForgetIfDone(const Turn& turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Limits limits_;
  mutable Mutex mutex_;
  Accounts accounts_ ABSL_GUARDED_BY(mutex_);  // of callers who have calls
  Key last_ ABSL_GUARDED_BY(mutex_);           // whose turn it was
  Held all_ ABSL_GUARDED_BY(mutex_);
  bool scheduled_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
};

// What waits. It is there until it has left.
class CallQueue::Call {
 public:
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 protected:
  Call() = default;
  ~Call() = default;

  // Main thread. It may be gone when this returns.
  virtual void Run() = 0;

 private:
  friend class CallQueue;
  enum class Place : uint8_t { kOutside, kWaiting, kOpen };

  // Under the queue's lock.
  Place place_ = Place::kOutside;
  EventLoop* main_ = nullptr;
  Turn turn_;
  std::list<Call*>::iterator in_line_;
  size_t request_bytes_ = 0;
  size_t answer_bytes_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_CALL_QUEUE_H_
