// SPDX-License-Identifier: Apache-2.0
//
// Clients create, change, move and delete VMs, networks, policies, reservations and forwards as fast as they can while
// kinsockd is killed, over and over. Whatever was answered is there after each start, and no CID belongs to two VMs,
// nor too soon to another.
//
// KINSOCK_KILL_ROUNDS: how often it is killed (20). KINSOCK_KILL_SEED: of the random choices (of the clock).
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/daemon_process.h"
#include "tests/server/kill_forward_client.h"
#include "tests/server/kill_network_client.h"
#include "tests/server/kill_vm_client.h"

namespace kinsock {
namespace {

using testing::CidLedger;
using testing::DaemonProcess;
using testing::KilledForwardClient;
using testing::KilledNetworkClient;
using testing::KilledVmClient;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(KillTest, NothingThatWasAnsweredIsLostAndNoCidIsGivenTwice) {
  const uint64_t rounds = FromEnvironment("KINSOCK_KILL_ROUNDS", 20);
  const uint64_t seed = FromEnvironment("KINSOCK_KILL_SEED", static_cast<uint64_t>(time(nullptr)));
  SCOPED_TRACE(absl::StrCat("KINSOCK_KILL_SEED=", seed));
  std::mt19937_64 random(seed);
  const auto milliseconds = [&](uint64_t at_most) { return std::chrono::milliseconds(random() % at_most); };

  constexpr int kClients = 4;
  CidLedger ledger;
  std::vector<std::unique_ptr<KilledVmClient>> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<KilledVmClient>(i, ledger, random()));

  KilledNetworkClient network_client(random());

  DaemonProcess daemon;
  KilledForwardClient forwards_client(daemon, random());
  for (uint64_t round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    // Now and then it does not even get up.
    if (random() % 4 == 0) {
      daemon.Launch();
      daemon.Kill(milliseconds(60));
    }
    ASSERT_TRUE(daemon.Start()) << daemon.errors();
    const std::map<std::string, v1::Vm> listed = daemon.List();
    std::map<uint32_t, std::string> holders;
    for (const auto& [name, vm] : listed) {
      const auto [first, is_new] = holders.emplace(vm.status().cid(), name);
      EXPECT_TRUE(is_new) << "CID " << first->first << " belongs to " << first->second << " and " << name;
    }
    for (const auto& client : clients) client->Compare(listed);
    network_client.Compare(daemon);
    forwards_client.Compare(daemon, listed.count(KilledForwardClient::kVm) > 0);

    std::vector<std::thread> threads;
    for (const auto& client : clients) threads.emplace_back([&daemon, &client] { client->Run(daemon); });
    threads.emplace_back([&daemon, &network_client] { network_client.Run(daemon); });
    threads.emplace_back([&daemon, &forwards_client] { forwards_client.Run(daemon); });
    daemon.Kill(milliseconds(400));
    for (std::thread& thread : threads) thread.join();
  }
  int answers = 0;
  for (const auto& client : clients) answers += client->answers();
  EXPECT_GT(answers, static_cast<int>(rounds));
  EXPECT_GT(network_client.answers(), static_cast<int>(rounds));
  EXPECT_GT(forwards_client.answers(), static_cast<int>(rounds));
  answers += network_client.answers() + forwards_client.answers();
  RecordProperty("answers", answers);
  printf("%llu rounds, %d answered mutations\n", static_cast<unsigned long long>(rounds), answers);
}

}  // namespace
}  // namespace kinsock
