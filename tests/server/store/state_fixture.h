// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_STORE_STATE_FIXTURE_H_
#define KINSOCK_TESTS_SERVER_STORE_STATE_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/event_loop.h"
#include "base/unique_id.h"
#include "server/store/state_store.h"
#include "tests/support/temp_dir.h"

namespace kinsock::testing {

// A state directory, and the store in it as a daemon's main thread uses it.
class StateFixture : public ::testing::Test {
 protected:
  static SavedVm Vm(const std::string& id, Cid cid) {
    auto definition = std::make_shared<VmDefinition>();
    definition->id = id;
    definition->uid = RandomUuid();
    definition->create_time = WallTime(std::chrono::seconds(1'700'000'000));
    definition->labels = {{"tier", "web"}};
    definition->spec.cid = CidRequest::Fixed(cid);
    return {std::move(definition), cid};
  }

  // A mutation that makes a VM.
  static JournalEntry Making(SavedVm vm) {
    JournalEntry entry;
    entry.put = std::move(vm);
    return entry;
  }

  absl::Status Open() {
    store_.reset();
    absl::StatusOr<std::unique_ptr<StateStore>> opened = StateStore::Open(loop_, directory());
    if (opened.ok()) store_ = *std::move(opened);
    return opened.status();
  }

  // Commits and waits for the answer.
  absl::Status Commit(JournalEntry entry) {
    std::optional<absl::Status> answer;
    store_->Commit(std::move(entry), [&](absl::Status status) { answer = std::move(status); });
    while (!answer.has_value()) loop_.RunOnce(std::chrono::milliseconds(1000));
    return *answer;
  }

  // What the next start of the daemon finds: id -> CID.
  std::map<std::string, Cid> Saved() {
    EXPECT_TRUE(Open().ok());
    std::map<std::string, Cid> vms;
    for (const SavedVm& vm : store_->TakeSaved().vms) vms[vm.definition->id] = vm.cid;
    return vms;
  }

  std::string directory() const { return dir_ / "state"; }
  std::string path() const { return StateFile::PathIn(directory()); }

  static std::string Contents(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static void Overwrite(const std::string& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  }

  TempDir dir_;
  EventLoop loop_;
  std::unique_ptr<StateStore> store_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_STORE_STATE_FIXTURE_H_
