// SPDX-License-Identifier: Apache-2.0
//
// Whose the files of a VM's sockets are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/running_daemon.h"

namespace kinsock {
namespace {

using testing::BadFields;
using ::testing::ElementsAre;
using testing::Reason;
using testing::RunningDaemon;

struct stat Look(const std::string& path) {
  struct stat found {};
  EXPECT_EQ(lstat(path.c_str(), &found), 0) << path;
  return found;
}

class SocketAccessTest : public ::testing::Test {
 protected:
  grpc::Status Create(const v1::SocketAccess& access, v1::Vm* vm = nullptr) {
    v1::CreateVmRequest request;
    request.set_vm_id("a");
    *request.mutable_vm()->mutable_spec()->mutable_socket_access() = access;
    request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "a.uds");
    return daemon_.Create(request, vm);
  }

  RunningDaemon daemon_;
};

TEST_F(SocketAccessTest, BothSocketsAreWhoseTheyAreSaidToBe) {
  v1::SocketAccess access;
  access.set_group(absl::StrCat(getegid()));
  access.set_mode(0606);
  v1::Vm vm;
  ASSERT_TRUE(Create(access, &vm).ok());
  for (const std::string& path : {vm.status().vhost_user_socket(), vm.status().uds_path()}) {
    SCOPED_TRACE(path);
    EXPECT_EQ(Look(path).st_mode & 07777, 0606u);
    EXPECT_EQ(Look(path).st_gid, getegid());
    EXPECT_EQ(Look(path).st_uid, geteuid());
  }
  EXPECT_EQ(vm.spec().socket_access().mode(), 0606u);
  EXPECT_EQ(vm.spec().socket_access().group(), access.group());
  // Whom the file lets in can get to it, and sees nothing on the way.
  std::string directory = vm.status().vhost_user_socket();
  for (int i = 0; i < 3; ++i) {
    directory.resize(directory.rfind('/'));
    EXPECT_EQ(Look(directory).st_mode & S_IRWXO, S_IXOTH) << directory;
  }
}

TEST_F(SocketAccessTest, WithoutItTheyAreTheDaemonsAndItsGroups) {
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Create("b", 0, &vm).ok());
  const mode_t mask = umask(0);
  umask(mask);
  EXPECT_EQ(Look(vm.status().vhost_user_socket()).st_mode & 07777, 0660u & ~mask);
  EXPECT_FALSE(vm.spec().has_socket_access());
}

TEST_F(SocketAccessTest, WhatNobodyIsCalledIsToldAtOnce) {
  v1::SocketAccess access;
  access.set_owner("no-such-user");
  access.set_group("no-such-group");
  access.set_mode(01777);
  const grpc::Status status = Create(access);
  EXPECT_EQ(Reason(status), "FIELD_INVALID");
  std::vector<std::string> fields;
  const google::rpc::BadRequest bad = BadFields(status);
  for (const auto& violation : bad.field_violations()) fields.push_back(violation.field());
  EXPECT_THAT(fields,
              ElementsAre("vm.spec.socket_access.owner", "vm.spec.socket_access.group", "vm.spec.socket_access.mode"));
}

TEST_F(SocketAccessTest, ItStaysAsItIs) {
  v1::SocketAccess access;
  access.set_mode(0600);
  v1::Vm vm;
  ASSERT_TRUE(Create(access, &vm).ok());
  const auto apply = [&] {
    v1::ApplyVmRequest request;
    request.set_vm_id("a");
    *request.mutable_vm()->mutable_spec() = vm.spec();
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::Vm applied;
    return daemon_.vms().ApplyVm(&context, request, &applied);
  };
  EXPECT_TRUE(apply().ok());
  vm.mutable_spec()->mutable_socket_access()->set_mode(0666);
  EXPECT_EQ(Reason(apply()), "IMMUTABLE_FIELD");
}

}  // namespace
}  // namespace kinsock
