// SPDX-License-Identifier: Apache-2.0
//
// Roles that become others while the daemon runs and callers are connected.
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "tests/server/file_daemon.h"
#include "tests/support/other_user.h"

namespace kinsock {
namespace {

using testing::FileDaemon;
using testing::Reason;
using testing::SetDeadline;

TEST(ReloadTest, RolesAreOthersFromTheNextCallOn) {
  if (!testing::CanBeOthers()) GTEST_SKIP() << "needs root";
  umask(0007);  // as kinsockd does
  FileDaemon daemon("{}");
  const testing::OtherUser user{61'001, 61'001, {}};
  chmod(daemon->directory().c_str(), 0755);
  const auto mode = [&] {
    struct stat found;
    return stat(daemon->api_socket().c_str(), &found) == 0 ? found.st_mode & 0777 : 0;
  };
  EXPECT_EQ(mode(), 0660u);
  daemon.Reload("api: {roles: {viewer: {uids: [61001]}}}\n");
  EXPECT_EQ(mode(), 0666u);
  const std::shared_ptr<grpc::Channel> channel =
      grpc::CreateInsecureChannelFromFd("as-other-user", testing::ConnectAs(user, daemon->api_socket()).release());
  const auto stub = v1::VmService::NewStub(channel);
  const auto list = [&] {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListVmsResponse page;
    return stub->ListVms(&context, v1::ListVmsRequest(), &page);
  };
  const auto remove = [&] {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::DeleteVmRequest request;
    request.set_name("vms/a");
    v1::Vm vm;
    return stub->DeleteVm(&context, request, &vm);
  };
  EXPECT_TRUE(list().ok());
  EXPECT_EQ(Reason(remove()), "ROLE_REQUIRED");
  daemon.Reload("api: {roles: {operator: {uids: [61001]}}}\n");
  EXPECT_EQ(Reason(remove()), "VM_NOT_FOUND") << "on the connection that he has";
  daemon.Reload("{}");
  EXPECT_EQ(Reason(list()), "ROLE_REQUIRED");
  EXPECT_EQ(mode(), 0660u);
}

}  // namespace
}  // namespace kinsock
