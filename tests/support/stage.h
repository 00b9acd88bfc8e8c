// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_STAGE_H_
#define KINSOCK_TESTS_SUPPORT_STAGE_H_

#include <poll.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace kinsock::testing {

// Somebody who plays in a test: a guest, a host program, the daemon's main loop.
class Actor {
 public:
  // Does all that can be done now, without waiting. Returns whether anything happened.
  virtual bool Poll() = 0;

  // What would make another Poll() worth while.
  virtual void AppendAwaited(std::vector<pollfd>&) const {}

  // For the message of a test that waited in vain.
  virtual std::string Describe() const { return ""; }

 protected:
  ~Actor() = default;
};

// Gives everybody who plays in a test his turn, on the test's thread. Nothing sleeps: when nobody can do anything,
// the stage waits in poll(2) for what they await.
class Stage {
 public:
  // Only a hanging back-end meets it; sanitizers on a loaded machine must not.
  static constexpr std::chrono::seconds kPatience{20};

  void Enter(Actor& actor) { actors_.push_back(&actor); }
  void Leave(Actor& actor);

  // How to know that the back-end has nothing left to do: `settle` returns when it has been through all that was
  // asked of it, as far as it can tell. Called several times in a row.
  void set_settle(std::function<void()> settle) { settle_ = std::move(settle); }

  // One turn for each. Returns whether anything happened.
  bool Step();

  // Until `done` or the deadline; false at the deadline.
  bool RunUntil(const std::function<bool()>& done, std::chrono::milliseconds patience = kPatience);

  // Until neither the actors nor the back-end have anything to do. False if that does not come.
  bool RunUntilIdle();

  std::string Describe() const;

 private:
  // Messages travel a few hops (guest, reactor, another reactor, guest): so many quiet rounds in a row mean that
  // none is under way.
  static constexpr int kQuietRounds = 5;

  void Wait();

  std::vector<Actor*> actors_;
  std::function<void()> settle_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_STAGE_H_
