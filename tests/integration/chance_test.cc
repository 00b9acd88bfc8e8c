// SPDX-License-Identifier: Apache-2.0
//
// Four unlike guests do what guests do, in an order that chance decides: freeze, pause, reset, talk much
// or little. Whatever was not reset arrives exactly. The chance is the same every time.
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

class ChanceTest : public SwitchTest, public ::testing::WithParamInterface<uint32_t> {
 protected:
  // Two ends and what each has been given to say.
  struct Talk {
    SimulatedGuest* guests[2];
    Stream ends[2];
    uint64_t given[2] = {0, 0};
    bool doomed = false;  // one of its guests was reset
  };

  void SetUp() override {
    GuestOptions linux_like, old, tiny, large;
    old.event_idx = old.indirect = false;
    old.rx_pieces = {44};
    tiny.ring_entries = 8;
    tiny.rx_buffer_bytes = 500;
    tiny.window = 20'000;
    large.ring_entries = 1024;
    large.tx_layout = TxLayout::kPages;
    Cid cid = 3;
    for (const GuestOptions& options : {linux_like, old, tiny, large}) {
      guests_.push_back({&Boot(cid++, options)});
    }
  }

  size_t Pick(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random_); }

  struct Player {
    SimulatedGuest* guest;
    bool suspended = false;
    bool frozen = false;
  };
  bool Awake(const Player& player) const { return !player.suspended && !player.frozen; }

  void Open() {
    Player& from = guests_[Pick(guests_.size())];
    Player& to = guests_[Pick(guests_.size())];
    if (&from == &to || !Awake(from) || !Awake(to) || talks_.size() > 40) return;
    from.guest->ResumePosting();
    to.guest->ResumePosting();
    const Pair pair = Connect(*from.guest, *to.guest);
    talks_.push_back({{from.guest, to.guest}, {pair.client, pair.server}});
    const uint32_t seed = 2 * static_cast<uint32_t>(talks_.size());
    talks_.back().ends[0].ExpectPattern(seed);
    talks_.back().ends[1].ExpectPattern(seed + 1);
  }

  void Speak() {
    if (talks_.empty()) return;
    const size_t index = Pick(talks_.size());
    Talk& talk = talks_[index];
    const size_t speaker = Pick(2);
    const uint64_t bytes = Pick(4) == 0 ? 1 + Pick(300'000) : 1 + Pick(100);
    if (talk.doomed) return;
    // The listener's seed is what it expects.
    const uint32_t seed = 2 * static_cast<uint32_t>(index + 1) + (speaker == 0 ? 1 : 0);
    talk.ends[speaker].SendPattern(seed, bytes);
    talk.given[speaker] += bytes;
  }

  void Listen() {
    if (talks_.empty()) return;
    Stream& end = talks_[Pick(talks_.size())].ends[Pick(2)];
    Pick(2) == 0 ? end.PauseReading() : end.ResumeReading();
  }

  void Sleep(Player& player) {
    switch (Pick(4)) {
      case 0:
        player.frozen = !player.frozen;
        return player.guest->set_frozen(player.frozen);
      case 1:
        return player.guest->StopPosting();
      case 2:
        return player.guest->ResumePosting();
      default:
        const absl::Status status = player.suspended ? player.guest->Resume() : player.guest->Suspend();
        ASSERT_TRUE(status.ok()) << status;
        player.suspended = !player.suspended;
    }
  }

  void Reset(Player& player) {
    if (player.suspended) return;
    for (Talk& talk : talks_) talk.doomed |= talk.guests[0] == player.guest || talk.guests[1] == player.guest;
    const absl::Status status = player.guest->Reset();
    ASSERT_TRUE(status.ok()) << status;
  }

  void WakeAll() {
    for (Player& player : guests_) {
      player.guest->set_frozen(false);
      if (player.suspended) {
        ASSERT_TRUE(player.guest->Resume().ok());
      }
      player.guest->ResumePosting();
    }
    for (Talk& talk : talks_) {
      for (Stream& end : talk.ends) end.ResumeReading();
    }
  }

  std::mt19937 random_{GetParam()};
  std::vector<Player> guests_;
  std::vector<Talk> talks_;
};
INSTANTIATE_TEST_SUITE_P(Seeds, ChanceTest, ::testing::Range(1u, 13u));

TEST_P(ChanceTest, WhatWasNotResetArrives) {
  for (int turn = 0; turn < 400 && !HasFailure(); ++turn) {
    Player& player = guests_[Pick(guests_.size())];
    const size_t what = Pick(100);
    if (what < 15) Open();
    if (what >= 15 && what < 60) Speak();
    if (what >= 60 && what < 70) Listen();
    if (what >= 70 && what < 80) Sleep(player);
    if (what == 80 && GetParam() % 3 == 0) Reset(player);
    if (what > 80) {
      for (size_t steps = Pick(20); steps > 0; --steps) stage().Step();
    }
  }
  WakeAll();
  for (Talk& talk : talks_) {
    if (talk.doomed) {
      RunUntil([&] { return talk.ends[0].closed() && talk.ends[1].closed(); });
      continue;
    }
    SCOPED_TRACE(talk.ends[0].connection().Describe());
    SCOPED_TRACE(talk.ends[1].connection().Describe());
    RunUntil([&] {
      return talk.ends[0].received_bytes() >= talk.given[1] && talk.ends[1].received_bytes() >= talk.given[0];
    });
    EXPECT_EQ(talk.ends[0].Verdict(talk.given[1]), "exact");
    EXPECT_EQ(talk.ends[1].Verdict(talk.given[0]), "exact");
    talk.ends[Pick(2)].Close();
  }
  AwaitNoFlows();
}

}  // namespace
}  // namespace kinsock::testing
