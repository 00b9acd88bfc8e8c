// SPDX-License-Identifier: Apache-2.0
//
// Where API clients may have sockets made, and that names which change meanwhile lead nowhere else.
#include "server/host/socket_dirs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "tests/server/running_daemon.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using testing::BadFields;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Reason;
using testing::RunningDaemon;
using testing::TempDir;

bool IsSocket(const std::string& path) {
  struct stat found;
  return lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode);
}

class SocketDirsTest : public ::testing::Test {
 protected:
  SocketDirsTest() {
    for (const std::string& directory : {allowed_, allowed_ + "/tenant", other_}) mkdir(directory.c_str(), 0755);
    Config config;
    config.socket_dirs = {allowed_};
    config.vms.push_back({.creation = {.id = "own"}, .origin = "the configuration"});
    config.vms.back().creation.spec.vhost_user_socket = other_ + "/own.sock";
    daemon_ = std::make_unique<RunningDaemon>(std::move(config));
    EXPECT_TRUE(daemon_->started().ok()) << daemon_->started();
  }

  grpc::Status Create(const std::string& vhost, const std::string& uds = "") {
    v1::CreateVmRequest request;
    request.set_vm_id("a");
    request.mutable_vm()->mutable_spec()->set_vhost_user_socket(vhost);
    if (!uds.empty()) request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(uds);
    return daemon_->Create(request);
  }

  // What the daemon says of the first bad field.
  static std::string Complaint(const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(Reason(status), "FIELD_INVALID");
    return BadFields(status).field_violations().empty() ? "" : BadFields(status).field_violations(0).description();
  }

  const TempDir directory_;
  const std::string allowed_ = directory_ / "allowed";
  const std::string other_ = directory_ / "other";
  std::unique_ptr<RunningDaemon> daemon_;
};

TEST_F(SocketDirsTest, BelowAnAllowedDirectorySocketsAreMadeAndRemoved) {
  const std::string vhost = allowed_ + "/tenant/a.sock", uds = allowed_ + "/a.uds";
  ASSERT_TRUE(Create(vhost, uds).ok());
  EXPECT_TRUE(IsSocket(vhost));
  EXPECT_TRUE(IsSocket(uds));
  testing::ConnectTo(uds);
  ASSERT_TRUE(daemon_->Delete("a").ok());
  EXPECT_FALSE(IsSocket(vhost));
  EXPECT_FALSE(IsSocket(uds));
}

TEST_F(SocketDirsTest, TheDaemonsOwnDirectoryAndItsConfigurationStayAsTheyAre) {
  ASSERT_TRUE(Create("").ok()) << "the default lies in the runtime directory";
  EXPECT_TRUE(IsSocket(*daemon_ / "kinsock/vms/a/vhost.sock"));
  EXPECT_TRUE(IsSocket(other_ + "/own.sock")) << "the configuration is the administrator's";
}

TEST_F(SocketDirsTest, ElsewhereNothingIsMade) {
  for (const std::string& path :
       {other_ + "/a.sock", allowed_ + ".sock", allowed_ + "x/a.sock", std::string("/tmp/a.sock")}) {
    EXPECT_THAT(Complaint(Create(path)),
                HasSubstr("lies below none of the directories that API clients may use; choose "
                          "one below"));
    EXPECT_FALSE(IsSocket(path));
  }
  const grpc::Status both = Create(other_ + "/a.sock", other_ + "/a.uds");
  EXPECT_EQ(BadFields(both).field_violations_size(), 2) << "all that is wrong is said at once";
  EXPECT_THAT(Complaint(Create(allowed_ + "/../other/a.sock")), HasSubstr("has \"..\" in it"));
  EXPECT_THAT(Complaint(Create(allowed_ + "/nosuch/a.sock")), HasSubstr("which does not exist"));
}

TEST_F(SocketDirsTest, ASymbolicLinkLeadsNowhere) {
  std::filesystem::create_symlink(other_, allowed_ + "/link");
  std::filesystem::create_symlink("../../other", allowed_ + "/tenant/link");
  std::filesystem::create_symlink(allowed_ + "/tenant", allowed_ + "/inside");
  for (const char* path : {"/link/a.sock", "/tenant/link/a.sock", "/inside/a.sock"}) {
    EXPECT_THAT(Complaint(Create(allowed_ + path)), HasSubstr("leads through a symbolic link below"));
  }
  // Nor one in the socket's own place.
  std::filesystem::create_symlink(other_ + "/target", allowed_ + "/a.sock");
  EXPECT_THAT(Complaint(Create(allowed_ + "/a.sock")), HasSubstr("is a symbolic link"));
  EXPECT_FALSE(IsSocket(other_ + "/a.sock"));
  EXPECT_FALSE(IsSocket(other_ + "/target"));
}

TEST_F(SocketDirsTest, ASocketOfSomebodyElseIsLeftAlone) {
  const std::string path = allowed_ + "/foreign.sock";
  const UniqueFd foreign = testing::ListenAt(path);
  const grpc::Status status = Create(path);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Reason(status), "SOCKET_PATH_BUSY");
  testing::ConnectTo(path);
}

// The owner of a directory swaps it for a link, back and forth, while VMs are made and deleted below it.
TEST_F(SocketDirsTest, NamesThatChangeMeanwhileLeadNowhereElse) {
  std::filesystem::create_symlink(other_, allowed_ + "/link");
  const std::string tenant = allowed_ + "/tenant", link = allowed_ + "/link", aside = allowed_ + "/aside";
  // A file that must survive: it has the name of the socket.
  const UniqueFd bystander = testing::ListenAt(other_ + "/a.sock");
  std::atomic<bool> over{false};
  std::atomic<int> attempt{0};
  std::thread owner([&] {
    while (!over) {
      if (attempt % 2 == 0) {  // every other one finds the directory in its place, or back in it
        std::this_thread::yield();
        continue;
      }
      rename(tenant.c_str(), aside.c_str());
      rename(link.c_str(), tenant.c_str());
      rename(tenant.c_str(), link.c_str());
      rename(aside.c_str(), tenant.c_str());
    }
  });
  int made = 0;
  for (; attempt < 300; ++attempt) {
    if (!Create(tenant + "/a.sock", tenant + "/b.sock").ok()) continue;
    ++made;
    EXPECT_FALSE(IsSocket(other_ + "/b.sock"));
    EXPECT_TRUE(daemon_->Delete("a").ok());
  }
  over = true;
  owner.join();
  EXPECT_GT(made, 0);
  EXPECT_TRUE(IsSocket(other_ + "/a.sock"));
  EXPECT_FALSE(IsSocket(other_ + "/b.sock"));
  EXPECT_FALSE(IsSocket(tenant + "/a.sock")) << "what was made was removed, under whatever name";
  EXPECT_FALSE(IsSocket(tenant + "/b.sock"));
}

TEST(SocketDirsAloneTest, WithoutAnyEverythingIsAllowed) {
  SocketDirs dirs;
  EXPECT_TRUE(dirs.anywhere());
  EXPECT_THAT(dirs.Fault("/etc/x.sock"), IsEmpty());
  dirs.Allow("/");
  EXPECT_THAT(dirs.Fault("/etc/x.sock"), IsEmpty());
  EXPECT_TRUE(dirs.OpenDirectoryOf("/x.sock").ok());
  EXPECT_TRUE(dirs.OpenDirectoryOf("/tmp/x.sock").ok());
}

// As `defaults: {socket_dir: DIR}` has it: where VMs have their sockets that say no path.
TEST(VmSocketDirTest, EachVmHasADirectoryOfItsOwnThere) {
  const TempDir directory;
  Config config;
  config.vm_socket_dir = directory / "vms";
  config.socket_dirs = {directory / "elsewhere"};
  RunningDaemon daemon(std::move(config));
  ASSERT_TRUE(daemon.started().ok()) << daemon.started();
  v1::Vm vm;
  ASSERT_TRUE(daemon.Create("a", 3, &vm).ok());
  EXPECT_EQ(vm.status().vhost_user_socket(), directory / "vms/a/vhost.sock");
  EXPECT_TRUE(IsSocket(directory / "vms/a/vhost.sock"));

  // One that spells its own directory out finds it made, too; that of another is not made for it.
  v1::CreateVmRequest request;
  request.set_vm_id("b");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(directory / "vms/b/v.sock");
  ASSERT_TRUE(daemon.Create(request).ok());
  EXPECT_TRUE(IsSocket(directory / "vms/b/v.sock"));
  request.set_vm_id("c");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(directory / "vms/d/v.sock");
  EXPECT_EQ(Reason(daemon.Create(request)), "FIELD_INVALID");

  ASSERT_TRUE(daemon.Delete("a").ok());
  EXPECT_FALSE(std::filesystem::exists(directory / "vms/a"));
}

}  // namespace
}  // namespace kinsock
