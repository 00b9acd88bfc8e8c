// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_REACTORS_SHARED_ANSWER_H_
#define KINSOCK_SERVER_REACTORS_SHARED_ANSWER_H_

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "base/event_loop.h"

namespace kinsock {

// A question to all reactors that costs them time, and that clients may ask as often as they like: it is under way at
// most once, however many wait for it. Who asks meanwhile gets the next answer, so that nobody sees a state older than
// his question.
//
// `Answer` is copied for each who asked. Thread: main. Who answers must be gone, or have no answer under way, when this
// goes.
template <typename Answer>
class SharedAnswer {
 public:
  // Between two questions there is a pause of so many times what the last one took: the reactors spend at most a tenth
  // of their time on them.
  static constexpr int kRest = 9;
  // However long it took: nobody waits for an answer as if there were none.
  static constexpr std::chrono::seconds kLongestRest{1};

  using Done = absl::AnyInvocable<void(const Answer&)>;
  using Ask = std::function<void(absl::AnyInvocable<void(Answer)>)>;

  // `main` outlives this.
  SharedAnswer(EventLoop& main, Ask ask) : main_(main), ask_(std::move(ask)) {}
  ~SharedAnswer() {
    if (timer_.has_value()) main_.Cancel(*timer_);
  }
  SharedAnswer(const SharedAnswer&) = delete;
  SharedAnswer& operator=(const SharedAnswer&) = delete;

  void Get(Done done) {
    waiting_.push_back(std::move(done));
    GoOn();
  }

 private:
  void GoOn() {
    if (!asked_.empty() || waiting_.empty() || timer_.has_value()) return;
    const MonotonicTime now = main_.clock().Now();
    if (now < rested_) {
      timer_ = main_.RunAfter(rested_ - now, [this] {
        timer_.reset();
        GoOn();
      });
      return;
    }
    asked_ = std::exchange(waiting_, {});
    ask_([this, began = now](const Answer& answer) {
      const MonotonicTime ended = main_.clock().Now();
      rested_ = ended + std::min<MonotonicTime::duration>(kRest * (ended - began), kLongestRest);
      // Those who ask from within wait, until all have been told.
      for (Done& done : asked_) done(answer);
      asked_.clear();
      GoOn();
    });
  }

  EventLoop& main_;
  const Ask ask_;
  std::vector<Done> asked_;    // the question under way is for these
  std::vector<Done> waiting_;  // came later
  MonotonicTime rested_;       // no question before
  std::optional<EventLoop::TimerId> timer_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_REACTORS_SHARED_ANSWER_H_
