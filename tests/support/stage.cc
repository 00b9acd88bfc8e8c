// SPDX-License-Identifier: Apache-2.0
#include "tests/support/stage.h"

#include <algorithm>

namespace kinsock::testing {
namespace {

// Not everything that changes has a descriptor (the main loop's messages have none here): look again so soon.
constexpr int kTurnMillis = 1;

}  // namespace

void Stage::Leave(Actor& actor) { std::erase(actors_, &actor); }

bool Stage::Step() {
  bool happened = false;
  for (size_t i = 0; i < actors_.size(); ++i) happened |= actors_[i]->Poll();
  return happened;
}

void Stage::Wait() {
  std::vector<pollfd> awaited;
  for (const Actor* actor : actors_) actor->AppendAwaited(awaited);
  poll(awaited.data(), awaited.size(), kTurnMillis);
}

bool Stage::RunUntil(const std::function<bool()>& done, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    const bool happened = Step();
    if (done()) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    if (!happened) Wait();
  }
  return true;
}

bool Stage::RunUntilIdle() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (int quiet = 0; quiet < kQuietRounds; ++quiet) {
    if (settle_) settle_();
    if (Step()) quiet = -1;
    if (std::chrono::steady_clock::now() >= deadline) return false;
  }
  return true;
}

std::string Stage::Describe() const {
  std::string text;
  for (const Actor* actor : actors_) {
    const std::string line = actor->Describe();
    if (!line.empty()) text += "  " + line + "\n";
  }
  return text;
}

}  // namespace kinsock::testing
