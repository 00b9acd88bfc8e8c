// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_CONTROL_QUERY_H_
#define KINSOCK_WEB_CONTROL_QUERY_H_

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "base/event_loop.h"
#include "web/http_limits.h"

namespace kinsock {

// Asks the main thread how things are, and does not wait for ever. While it has not even answered an earlier question
// whose time is over, it is not asked again: a daemon that is stuck tells so at once, and finds no heap of questions
// when it comes to itself.
//
// Thread: one, not main.
class ControlQuery {
 public:
  // `main` outlives this, and what was posted to it is run or dropped before what questions touch goes.
  explicit ControlQuery(EventLoop& main, std::chrono::milliseconds patience = kControlPatience)
      : main_(main), patience_(patience) {}

  // `question` runs on the main thread and calls what it is given once, there, now or later. Nothing: it did not in
  // time.
  template <typename T>
  std::optional<T> Ask(absl::AnyInvocable<void(absl::AnyInvocable<void(T)>)> question) {
    if (overdue_ != nullptr && !overdue_->load(std::memory_order_acquire)) return std::nullopt;
    struct Slot {
      std::promise<T> answer;
      std::shared_ptr<std::atomic<bool>> answered = std::make_shared<std::atomic<bool>>(false);
    };
    auto slot = std::make_shared<Slot>();
    std::future<T> answer = slot->answer.get_future();
    main_.Post([slot, question = std::move(question)]() mutable {
      question([slot](T value) {
        slot->answer.set_value(std::move(value));
        slot->answered->store(true, std::memory_order_release);
      });
    });
    if (answer.wait_for(patience_) != std::future_status::ready) {
      overdue_ = slot->answered;
      return std::nullopt;
    }
    overdue_.reset();
    return answer.get();
  }

 private:
  EventLoop& main_;
  const std::chrono::milliseconds patience_;
  std::shared_ptr<std::atomic<bool>> overdue_;  // of the last question that was given up; null: none
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_CONTROL_QUERY_H_
