// SPDX-License-Identifier: Apache-2.0
#include "server/host/vsock_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <iterator>
#include <string>
#include <thread>

#include "server/status/error.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;

// From here on this thread lives in a kernel without AF_VSOCK: socket() says what such a kernel says.
bool ForgetVsock() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_VSOCK, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{.len = std::size(program), .filter = program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(VsockListenerTest, AKernelWithoutAfVsockIsNamedWithTheWayOut) {
  std::thread elsewhere([] {
    ASSERT_TRUE(ForgetVsock());
    for (const absl::Status& status : {CheckVsock(1), CheckVsockPort(9001), ListenVsock(9001, 1).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_EQ(ErrorReason(status), "VSOCK_UNAVAILABLE");
      EXPECT_THAT(std::string(status.message()), HasSubstr("vm.spec.vsock_proxy needs AF_VSOCK"));
      EXPECT_THAT(std::string(status.message()), HasSubstr("or use uds"));
    }
    EXPECT_FALSE(ReachesThisHost(77));
  });
  elsewhere.join();
}

TEST(VsockListenerTest, AForwardToThisHostIsKnownAsSuch) {
  EXPECT_TRUE(ReachesThisHost(1));
  EXPECT_TRUE(ReachesThisHost(2)) << "the host's own in a kernel that has a loopback and no hypervisor above it";
}

TEST(VsockListenerTest, ABusyPortIsNamedWithItsHolder) {
  const absl::Status status = VsockPortBusy(9001, "belongs to vms/a", "vms/a");
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrorReason(status), "VSOCK_PORT_BUSY");
}

// What a real kernel says of its ports is told in tests/e2e/nested, and here where there is one.
TEST(VsockListenerTest, APortIsTakenOnce) {
  absl::StatusOr<UniqueFd> port = ListenVsock(9341, 1);
  if (ErrorReason(port.status()) == "VSOCK_UNAVAILABLE") {  // then nobody may be told anything else
    EXPECT_EQ(ErrorReason(CheckVsockPort(9341)), "VSOCK_UNAVAILABLE");
    return;
  }
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_EQ(ErrorReason(CheckVsockPort(9341)), "VSOCK_PORT_BUSY");
  EXPECT_EQ(ErrorReason(ListenVsock(9341, 1).status()), "VSOCK_PORT_BUSY");
  port->reset();
  EXPECT_TRUE(CheckVsockPort(9341).ok());
}

}  // namespace
}  // namespace kinsock
