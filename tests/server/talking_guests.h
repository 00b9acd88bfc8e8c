// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_TALKING_GUESTS_H_
#define KINSOCK_TESTS_SERVER_TALKING_GUESTS_H_

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock::testing {

// Two guests that talk to each other over one connection, all the time, on a thread of their own, whatever else is done
// to the daemon. What arrives is checked byte by byte.
class TalkingGuests {
 public:
  // On the vhost-user sockets of two VMs that may reach each other. Returns when they talk.
  TalkingGuests(const std::string& asker_socket, const std::string& teller_socket) {
    std::promise<void> talking;
    std::future<void> begun = talking.get_future();
    thread_ = std::thread([this, asker_socket, teller_socket, talking = std::move(talking)]() mutable {
      Talk(asker_socket, teller_socket, talking);
    });
    begun.wait();
  }
  ~TalkingGuests() {
    if (thread_.joinable()) Finish();
  }

  // Ends the conversation: every byte has arrived, once and in order, and the connection was never reset.
  void Finish() {
    stop_ = true;
    thread_.join();
  }

  // Bytes that have arrived so far.
  uint64_t received() const { return received_; }

 private:
  static constexpr uint32_t kSeed = 7;
  static constexpr Port kPort = 80;
  // What is given to the sender at a time: more than a window, so that credit goes back and forth.
  static constexpr uint64_t kPortion = 1 << 20;

  void Talk(const std::string& asker_socket, const std::string& teller_socket, std::promise<void>& talking) {
    Stage stage;
    SimulatedGuest asker(stage), teller(stage);
    EXPECT_TRUE(asker.PowerOn(asker_socket).ok());
    EXPECT_TRUE(teller.PowerOn(teller_socket).ok());
    teller.Listen(kPort);
    Stream question = Call(stage, asker, teller.cid());
    Stream answer = teller.Accept(kPort);
    answer.ExpectPattern(kSeed);
    uint64_t sent = 0;
    bool ok = true;
    do {
      question.SendPattern(kSeed, kPortion);
      sent += kPortion;
      ok = stage.RunUntil([&] { return answer.received_bytes() == sent || answer.closed(); });
      EXPECT_TRUE(ok) << stage.Describe();
      EXPECT_FALSE(question.was_reset() || answer.was_reset());
      ok = ok && !answer.closed();
      received_ = answer.received_bytes();
      if (sent == kPortion) talking.set_value();
    } while (ok && !stop_);
    question.ShutdownSend();
    EXPECT_TRUE(stage.RunUntil([&] { return answer.at_eof(); }));
    EXPECT_EQ(answer.Verdict(sent), "exact");
    EXPECT_TRUE(asker.violations().list().empty());
    EXPECT_TRUE(teller.violations().list().empty());
  }

  // Until its driver is ready, which the caller is not told of, nobody is at the teller's CID.
  static Stream Call(Stage& stage, SimulatedGuest& asker, uint64_t cid) {
    for (;;) {
      Stream question = asker.Connect(cid, kPort);
      if (!stage.RunUntil([&] { return !question.connecting(); }) || question.established()) return question;
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> received_{0};
  std::thread thread_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_TALKING_GUESTS_H_
