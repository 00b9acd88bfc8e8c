// SPDX-License-Identifier: Apache-2.0
//
// Where forwards may listen and lead: nowhere that is the daemon's own, nowhere that is not allowed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/server/forward_client.h"
#include "tests/server/running_daemon.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using testing::BadFields;
using testing::ForwardClient;
using ::testing::HasSubstr;
using testing::Info;
using testing::Reason;
using testing::RunningDaemon;

// A port of the loopback that nobody has at the moment.
uint16_t FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

class ForwardPlaceTest : public ::testing::Test {
 protected:
  ForwardPlaceTest() { EXPECT_TRUE(daemon_.Create("web", 42).ok()); }

  grpc::Status Listen(const std::string& id, const std::string& address) {
    return forwards_.Create(ForwardClient::ToGuest(id, "web", 22, address));
  }
  grpc::Status Lead(const std::string& id, const std::string& address, uint32_t port = 514) {
    return forwards_.Create(ForwardClient::FromGuest(id, "web", port, address));
  }
  grpc::Status CreateVm(const std::string& id, const std::string& vhost, const std::string& uds = "") {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    if (!vhost.empty()) request.mutable_vm()->mutable_spec()->set_vhost_user_socket(vhost);
    if (!uds.empty()) request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(uds);
    return daemon_.Create(request);
  }
  std::string Path(const std::string& name) { return daemon_ / name; }
  std::string Address(const std::string& name) { return "unix:" + Path(name); }

  RunningDaemon daemon_;
  ForwardClient forwards_{daemon_.forwards()};
};

TEST_F(ForwardPlaceTest, NoGuestIsLedToASocketOfTheDaemon) {
  ASSERT_TRUE(CreateVm("db", Path("db.vhost"), Path("db.uds")).ok());
  ASSERT_TRUE(Listen("ssh", Address("ssh")).ok());
  for (const char* name : {"api.sock", "db.vhost", "db.uds", "db.uds_80", "ssh"}) {
    SCOPED_TRACE(name);
    const grpc::Status refused = Lead("log", Address(name));
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::ALREADY_EXISTS);
    EXPECT_EQ(Reason(refused), "SOCKET_PATH_BUSY");
  }
  // Nor by another spelling.
  ASSERT_EQ(symlink(daemon_.directory().c_str(), Path("link").c_str()), 0);
  EXPECT_EQ(Reason(Lead("log", Address("link/api.sock"))), "SOCKET_PATH_BUSY");
}

TEST_F(ForwardPlaceTest, NoSocketIsMadeWhereAGuestIsLed) {
  ASSERT_TRUE(Lead("log", Address("a")).ok());
  ASSERT_TRUE(Lead("log2", Address("b_80"), 515).ok());
  EXPECT_EQ(Reason(Listen("ssh", Address("a"))), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Reason(CreateVm("db", Path("a"))), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Reason(CreateVm("db", "", Path("a"))), "SOCKET_PATH_BUSY");
  const grpc::Status refused = CreateVm("db", "", Path("b"));
  EXPECT_EQ(Reason(refused), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Info(refused).metadata().at("holder"), "forwards/log2");
  ASSERT_TRUE(forwards_.Delete("log2").ok());
  EXPECT_TRUE(CreateVm("db", "", Path("b")).ok());
}

TEST_F(ForwardPlaceTest, NoneListensWhereSomebodyDoes) {
  ASSERT_TRUE(CreateVm("db", "", Path("db.uds")).ok());
  ASSERT_TRUE(Listen("ssh", Address("ssh")).ok());
  const UniqueFd foreign = testing::ListenAt(Path("foreign"));
  for (const char* name : {"api.sock", "db.uds", "db.uds_22", "ssh", "foreign"}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(Reason(Listen("more", Address(name))), "SOCKET_PATH_BUSY");
  }
  EXPECT_EQ(Reason(CreateVm("other", Path("ssh"))), "SOCKET_PATH_BUSY");
}

TEST_F(ForwardPlaceTest, APortOfTheLoopbackHasOneOwner) {
  const std::string address = absl::StrCat("tcp:127.0.0.1:", FreePort());
  ASSERT_TRUE(Listen("ssh", address).ok());
  const grpc::Status again = Listen("ssh2", address);
  EXPECT_EQ(Reason(again), "TCP_PORT_BUSY");
  EXPECT_EQ(Info(again).metadata().at("holder"), "forwards/ssh");
  EXPECT_EQ(Reason(Lead("log", address)), "TCP_PORT_BUSY");
  ASSERT_TRUE(forwards_.Delete("ssh").ok());
  EXPECT_TRUE(Lead("log", address).ok());
  EXPECT_EQ(Reason(Listen("ssh", address)), "TCP_PORT_BUSY");
}

TEST_F(ForwardPlaceTest, APortOfAnotherProgramIsLeftAlone) {
  const UniqueFd foreign(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(foreign.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(foreign.get(), 1), 0);
  ASSERT_EQ(getsockname(foreign.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  EXPECT_EQ(Reason(Listen("ssh", absl::StrCat("tcp:127.0.0.1:", ntohs(address.sin_port)))), "TCP_PORT_BUSY");
}

TEST_F(ForwardPlaceTest, OnlyTheLoopbackIsServed) {
  for (const char* address : {"tcp:0.0.0.0:80", "tcp:192.0.2.1:80", "tcp:[::]:80", "tcp:[::ffff:127.0.0.1]:80",
                              "tcp:localhost:80", "tcp:127.0.0.1:0", "tcp:127.0.0.1", "udp:127.0.0.1:80", "80", ""}) {
    SCOPED_TRACE(address);
    EXPECT_EQ(Reason(Listen("ssh", address)), "FIELD_INVALID");
    EXPECT_EQ(Reason(Lead("log", address)), "FIELD_INVALID");
  }
}

TEST_F(ForwardPlaceTest, TheFileHasTheModeThatIsAskedFor) {
  v1::CreateForwardRequest request = ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"));
  request.mutable_forward()->mutable_socket_access()->set_mode(0622);
  request.mutable_forward()->mutable_socket_access()->set_group(absl::StrCat(getegid()));
  const mode_t umask_before = umask(077);
  ASSERT_TRUE(forwards_.Create(request).ok());
  umask(umask_before);
  struct stat found {};
  ASSERT_EQ(stat(Path("ssh").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0622u);
  EXPECT_EQ(found.st_gid, getegid());
  request.set_forward_id("other");
  request.mutable_forward()->mutable_socket_access()->set_owner("nobody-of-this-name");
  const grpc::Status refused = forwards_.Create(request);
  ASSERT_EQ(Reason(refused), "FIELD_INVALID");
  EXPECT_EQ(BadFields(refused).field_violations(0).field(), "forward.socket_access.owner");
}

class ForwardDirsTest : public ::testing::Test {
 protected:
  ForwardDirsTest() {
    for (const std::string& directory : {allowed_, forbidden_}) mkdir(directory.c_str(), 0755);
    EXPECT_EQ(symlink(forbidden_.c_str(), (allowed_ + "/link").c_str()), 0);
    Config config;
    config.socket_dirs = {allowed_};
    daemon_ = std::make_unique<RunningDaemon>(std::move(config));
    EXPECT_TRUE(daemon_->Create("web", 42).ok());
  }

  testing::TempDir dir_;
  const std::string allowed_ = dir_ / "allowed";
  const std::string forbidden_ = dir_ / "forbidden";
  std::unique_ptr<RunningDaemon> daemon_;
};

TEST_F(ForwardDirsTest, BothEndsLieBelowTheAllowedDirectories) {
  ForwardClient forwards(daemon_->forwards());
  const auto listen = [&](const std::string& id, const std::string& path) {
    return forwards.Create(ForwardClient::ToGuest(id, "web", 22, "unix:" + path));
  };
  const auto lead = [&](const std::string& id, const std::string& path) {
    return forwards.Create(ForwardClient::FromGuest(id, "web", 514, "unix:" + path));
  };
  EXPECT_TRUE(listen("ssh", allowed_ + "/ssh").ok());
  EXPECT_TRUE(lead("log", allowed_ + "/log").ok());
  EXPECT_EQ(BadFields(listen("x", forbidden_ + "/x")).field_violations(0).field(), "forward.listen");
  EXPECT_EQ(BadFields(lead("x", forbidden_ + "/x")).field_violations(0).field(), "forward.target");
  EXPECT_EQ(BadFields(listen("x", allowed_ + "/link/x")).field_violations(0).field(), "forward.listen");
  EXPECT_EQ(BadFields(listen("x", allowed_ + "/../x")).field_violations(0).field(), "forward.listen");
  EXPECT_THAT(listen("x", forbidden_ + "/x").error_message(), HasSubstr("--socket-dir"));
}

}  // namespace
}  // namespace kinsock
