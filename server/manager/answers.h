// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_ANSWERS_H_
#define KINSOCK_SERVER_MANAGER_ANSWERS_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "server/status/error.h"

namespace kinsock {

// Lets each request with a request_id through once: its repetition gets the answer of the first, also when that is
// still under way. Only successes are kept; they are forgotten when the daemon stops, unless somebody writes them down
// and says them again (Remember()). What a VM's requests have instead is RequestGate.
//
// Thread: main. It outlives what it lets through.
template <typename Result>
class Answers {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<Result>)>;

  static constexpr std::chrono::hours kKeep{24};
  // A hundred a minute for an hour and a half; each has some hundred bytes. Beyond: the oldest is forgotten, and its
  // repetition meets what there is.
  static constexpr size_t kMaxEntries = 10'000;

  explicit Answers(const Clock& clock) : clock_(clock) {}

  // What to answer to the request, in place of `done`. Null: it must not be carried out; `done` has been called, or
  // will be. An empty `id` always goes through. `hash`: of the request; another one under the same id is
  // INVALID_ARGUMENT REQUEST_ID_REUSED.
  Done Enter(const std::string& id, uint64_t hash, Done done) {
    if (id.empty()) return done;
    ForgetOld();
    const auto [entry, is_new] = entries_.try_emplace(id);
    if (is_new) {
      entry->second.hash = hash;
      return [this, id, done = std::move(done)](absl::StatusOr<Result> result) mutable {
        Answer(id, result);
        done(std::move(result));
      };
    }
    Entry& before = entry->second;
    if (before.hash != hash) {
      done(Error(absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED",
                 "this request_id belongs to another request; make a new one")
               .With("request_id", id));
    } else if (before.answered) {
      done(before.result);
    } else {
      before.waiting.push_back(std::move(done));
    }
    return nullptr;
  }

  // An answer that was given before this was made, for `keep` from now on, at most kKeep.
  void Remember(const std::string& id, uint64_t hash, Result result, std::chrono::nanoseconds keep) {
    const auto [entry, is_new] = entries_.try_emplace(id);
    if (!is_new) return;
    entry->second = {.hash = hash, .answered = true, .result = std::move(result), .waiting = {}};
    oldest_first_.push_back({clock_.Now() + std::min<std::chrono::nanoseconds>(keep, kKeep), id});
  }

 private:
  struct Entry {
    uint64_t hash = 0;
    bool answered = false;
    Result result{};
    std::vector<Done> waiting;
  };

  void Answer(const std::string& id, const absl::StatusOr<Result>& result) {
    const auto entry = entries_.find(id);
    std::vector<Done> waiting = std::move(entry->second.waiting);
    if (result.ok()) {
      entry->second.answered = true;
      entry->second.result = *result;
      oldest_first_.push_back({clock_.Now() + kKeep, id});
    } else {
      entries_.erase(entry);
    }
    for (Done& done : waiting) done(result);
  }

  void ForgetOld() {
    while (!oldest_first_.empty() &&
           (oldest_first_.size() > kMaxEntries || oldest_first_.front().first <= clock_.Now())) {
      entries_.erase(oldest_first_.front().second);
      oldest_first_.pop_front();
    }
  }

  const Clock& clock_;
  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::pair<MonotonicTime, std::string>> oldest_first_;  // the answered ones
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_ANSWERS_H_
