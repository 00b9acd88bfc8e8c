// SPDX-License-Identifier: Apache-2.0
//
// Command lines: those of the existing daemon, from its README, and our own.
#include "server/config/flag_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "server/config/yaml_config.h"
#include "tests/server/config/command_line.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::Fault;
using testing::Good;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Parse;

TEST(ExistingFlagsTest, OneVm) {
  const Config config = Good({"--guest-cid=4", "--uds-path=/tmp/vm4.vsock", "--socket=/tmp/vhost4.socket",
                              "--tx-buffer-size=32768", "--queue-size", "256", "--groups=group1+groupA"});
  ASSERT_EQ(config.vms.size(), 1u);
  const VmCreation& vm = config.vms[0].creation;
  EXPECT_EQ(vm.id, "vm-4");
  EXPECT_EQ(vm.spec.cid, CidRequest::Fixed(4));
  EXPECT_EQ(vm.spec.vhost_user_socket, "/tmp/vhost4.socket");
  EXPECT_EQ(vm.spec.uds_path, "/tmp/vm4.vsock");
  EXPECT_EQ(vm.spec.tx_buffer_bytes, 32768u);
  EXPECT_EQ(vm.spec.queue_size, 256u);
  EXPECT_THAT(vm.spec.groups, ElementsAre("group1", "groupA"));
  EXPECT_THAT(config.api_sockets, IsEmpty()) << "scripts do not find a socket they did not ask for";
}

TEST(ExistingFlagsTest, DefaultsAreTheSame) {
  const Config config = Good({"--socket=/tmp/vhost.socket"});
  ASSERT_EQ(config.vms.size(), 1u);
  const VmSpec& spec = config.vms[0].creation.spec;
  EXPECT_EQ(spec.cid, CidRequest::Fixed(3));
  EXPECT_EQ(spec.queue_size, 0u) << "left to VmSpec::kDefaultQueueSize";
  EXPECT_EQ(VmSpec::kDefaultQueueSize, 1024u);
  EXPECT_EQ(VmSpec::kDefaultTxBufferBytes, 65536u);
  EXPECT_STREQ(VmSpec::kDefaultGroup, "default");
}

TEST(ExistingFlagsTest, SeveralVms) {
  const Config config =
      Good({"--vm", "guest-cid=3,socket=/tmp/vhost3.socket,uds-path=/tmp/vm3.vsock,groups=group1+groupA", "--vm",
            "guest_cid=4,uds_path=/tmp/vm4.vsock,socket=/tmp/vhost4.socket,tx_buffer_size=65536,queue_size=1024"});
  ASSERT_EQ(config.vms.size(), 2u);
  EXPECT_EQ(config.vms[0].creation.id, "vm-3");
  EXPECT_THAT(config.vms[0].creation.spec.groups, ElementsAre("group1", "groupA"));
  EXPECT_EQ(config.vms[1].creation.spec.queue_size, 1024u);
}

TEST(ExistingFlagsTest, ForwardingInPlaceOfAUdsPath) {
  const VsockProxy both{.forward_cid = 1, .listen_ports = {9001, 9002}};
  const Config flags = Good({"--socket=/tmp/s", "--forward-listen=9001+9002", "--forward-cid=1"});
  EXPECT_EQ(flags.vms[0].creation.spec.vsock_proxy, both);
  EXPECT_FALSE(flags.vms[0].creation.spec.has_uds);
  const Config option = Good({"--vm", "guest-cid=5,socket=/tmp/s,forward_cid=1,forward-listen=9001+9002"});
  EXPECT_EQ(option.vms[0].creation.spec.vsock_proxy, both);
  const Config alone = Good({"--socket=/tmp/s", "--forward-cid=2"});
  EXPECT_EQ(alone.vms[0].creation.spec.vsock_proxy, (VsockProxy{.forward_cid = 2, .listen_ports = {}}));
}

TEST(ExistingFlagsTest, ForwardingThatMakesNoSense) {
  EXPECT_THAT(Fault({"--socket=/tmp/s", "--forward-cid=1", "--uds-path=/tmp/u"}), HasSubstr("excludes uds"));
  EXPECT_THAT(Fault({"--socket=/tmp/s", "--forward-listen=9001"}), HasSubstr("forward_cid: 0 is no CID"));
  EXPECT_THAT(Fault({"--socket=/tmp/s", "--forward-cid=-1"}), HasSubstr("--forward-cid: \"-1\" is not a number"));
  for (const char* ports : {"9001+", "9001,9002", "x"}) {
    EXPECT_THAT(Fault({"--socket=/tmp/s", "--forward-cid=1", std::string("--forward-listen=") + ports}),
                HasSubstr("is not a list of ports; write them with \"+\" between, as 9001+9002"));
  }
  EXPECT_THAT(Fault({"--vm", "guest-cid=3,socket=/a,forward-cid=1,forward-listen=1+2", "--vm",
                     "guest-cid=4,socket=/b,forward-cid=1,forward-listen=2"}),
              HasSubstr("--vm 2: forward_listen port \"2\" is already that of the VM at --vm 1"));
}

TEST(ExistingFlagsTest, RelativePathsBeginHere) {
  testing::TempDir here;
  ASSERT_EQ(chdir(here.path().c_str()), 0);
  const Config config = Good({"--socket=vm.sock", "--uds-path=./x/../vm.uds"});
  ASSERT_EQ(config.vms.size(), 1u);
  EXPECT_EQ(config.vms[0].creation.spec.vhost_user_socket, here / "vm.sock");
  EXPECT_EQ(config.vms[0].creation.spec.uds_path, here / "vm.uds");
  ASSERT_EQ(chdir("/"), 0);
}

TEST(FlagsTest, WithoutVmsTheApiIsServed) {
  setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  EXPECT_THAT(Good({}).api_sockets, ElementsAre("/run/user/7/kinsock/api.sock"));
  unsetenv("XDG_RUNTIME_DIR");
  EXPECT_THAT(Good({}).api_sockets, ElementsAre("/run/kinsock/api.sock"));
  EXPECT_THAT(Good({"--api", "unix:%t/x.sock", "--api=unix:///y"}).api_sockets, ElementsAre("/run/x.sock", "/y"));
  EXPECT_THAT(Good({"--socket=/a", "--api=unix:/x"}).api_sockets, ElementsAre("/x"));
}

TEST(FlagsTest, WhoMayUseTheApi) {
  const Config config = Good({"--api-view=unix:/v", "--api-role", "viewer=user:50001", "--api-role=admin=group:50002"});
  EXPECT_THAT(config.api_view_sockets, ElementsAre("/v"));
  EXPECT_EQ(config.api_roles.RoleOf({50'001, 1, 1, {}}), Role::kViewer);
  EXPECT_EQ(config.api_roles.RoleOf({50'001, 1, 1, {50'002}}), Role::kAdmin);
  EXPECT_THAT(Fault({"--api-role=boss=user:1"}), HasSubstr("--api-role: \"boss\" is no role"));
  EXPECT_THAT(Fault({"--api-view=/v"}), HasSubstr("--api-view: \"/v\" is not a UNIX socket"));
}

TEST(FlagsTest, ReactorsAndLogFormat) {
  EXPECT_EQ(Good({"--reactors=7"}).reactors, 7u);
  EXPECT_GE(Good({}).reactors, 1u);
  EXPECT_LE(Good({}).reactors, 4u);
  EXPECT_EQ(Good({"--log-format=json"}).log_format, LogFormat::kJson);
}

TEST(FlagsTest, ActionsThatServeNothing) {
  EXPECT_EQ(Parse({"--check"})->action, CommandLine::Action::kCheck);
  EXPECT_EQ(Parse({"--version"})->action, CommandLine::Action::kPrint);
  EXPECT_THAT(Parse({"--help"})->text, HasSubstr("--guest-cid"));
}

TEST(FlagsTest, FaultsNameFlagValueAndRemedy) {
  EXPECT_THAT(Fault({"--nosuch"}), HasSubstr("--nosuch"));
  EXPECT_THAT(Fault({"--reactors=0"}), HasSubstr("--reactors: \"0\" is not a number from 1 to 64"));
  EXPECT_THAT(Fault({"--log-format=xml"}), HasSubstr("\"xml\" is neither kv nor json"));
  EXPECT_THAT(Fault({"--api=udp:1"}), HasSubstr("give unix:PATH"));
  EXPECT_THAT(Fault({"--api=tcp:1"}), HasSubstr("--api: \"tcp:1\" is not an address; give tcp:127.0.0.1:PORT"));
  EXPECT_THAT(Fault({"--api=tcp:localhost:1"}), HasSubstr("in numbers"));
  EXPECT_THAT(Fault({"--api=tcp:127.0.0.1:65536"}), HasSubstr("is not an address"));
  EXPECT_THAT(Fault({"--api=tcp:::1:1"}), HasSubstr("is not an address"));
  EXPECT_THAT(Fault({"--api=tcp:127.0.0.1:1"}),
              HasSubstr("--api: tcp:127.0.0.1:1 would let everybody in who reaches the port; add --tls-cert"));
  EXPECT_THAT(Fault({"--api=tcp:[::1]:1", "--tls-cert=/no/such"}),
              AllOf(HasSubstr("--tls-cert: \"/no/such\" cannot be read: No such file"),
                    HasSubstr("--tls-key: is missing"), HasSubstr("--tls-client-ca: is missing")));
  EXPECT_THAT(Fault({"--api=unix:/x", "--tls-key=/k"}), HasSubstr("are for --api tcp:ADDRESS:PORT"));
  EXPECT_THAT(Fault({"--guest-cid=2"}), HasSubstr("guest_cid: 2 is reserved"));
  EXPECT_THAT(Fault({"--guest-cid=x"}), HasSubstr("--guest-cid: \"x\" is not a number"));
  EXPECT_THAT(Fault({"--queue-size=0"}), HasSubstr("--queue-size: 0 is too small"));
  EXPECT_THAT(Fault({"--vm", "guest-cid=3,grups=a"}), HasSubstr("did you mean \"groups\""));
  EXPECT_THAT(Fault({"--vm", "guest-cid"}), HasSubstr("has no value"));
  EXPECT_THAT(Fault({"--vm", "guest-cid=auto,socket=/a"}), HasSubstr("add name="));
  EXPECT_THAT(Fault({"--vm", "guest-cid=3", "--socket=/a"}), HasSubstr("exclude each other"));
  EXPECT_THAT(Fault({"--config=/no/such/file"}), HasSubstr("/no/such/file: the configuration file cannot be read"));
}

TEST(FlagsTest, ClashesBetweenVmsAreFoundBeforeAnythingIsMade) {
  EXPECT_THAT(Fault({"--vm", "guest-cid=3,socket=/a", "--vm", "guest-cid=3,socket=/b,name=x"}),
              HasSubstr("--vm 2: guest_cid \"3\" is already that of the VM at --vm 1"));
  EXPECT_THAT(Fault({"--vm", "guest-cid=3,socket=/a", "--vm", "guest-cid=4,uds-path=/a"}), HasSubstr("path \"/a\""));
}

TEST(FlagsTest, WhereApiClientsMayHaveSockets) {
  EXPECT_THAT(Good({}).socket_dirs, IsEmpty());
  EXPECT_THAT(Good({"--socket-dir=/srv/a", "--socket-dir", "%t/b"}).socket_dirs, ElementsAre("/srv/a", "/run/b"));
  EXPECT_THAT(Fault({"--socket-dir=/srv/../etc"}), HasSubstr("--socket-dir: \"/srv/../etc\" has \"..\" in it"));
  EXPECT_THAT(Fault({"--socket-dir="}), HasSubstr("--socket-dir"));
  EXPECT_THAT(ParseYamlConfig("api: {socket_dirs: [/srv/a, /]}\n", "f")->socket_dirs, ElementsAre("/srv/a", "/"));
}

TEST(FlagsTest, WhatTheCommandLineSaysStandsBeforeTheFile) {
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "daemon: {reactors: 3, poll_us: 5, log_format: json}\nstate: {dir: /s}\n";
  const Config file = Good({"--config", dir / "k.yaml"});
  EXPECT_EQ(file.reactors, 3u);
  EXPECT_EQ(file.poll, std::chrono::microseconds(5));
  EXPECT_EQ(file.log_format, LogFormat::kJson);
  EXPECT_EQ(file.file, dir / "k.yaml");
  const Config both =
      Good({"--config", dir / "k.yaml", "--reactors=2", "--poll-us=0", "--log-format=kv", "--state-dir=/t"});
  EXPECT_EQ(both.reactors, 2u);
  EXPECT_EQ(both.poll, std::chrono::microseconds(0));
  EXPECT_EQ(both.log_format, LogFormat::kKeyValue);
  EXPECT_EQ(both.state_dir, "/t");
  EXPECT_EQ(Good({}).poll, std::chrono::microseconds(20));
}

TEST(FlagsTest, ACheckSaysAllThatIsWrong) {
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "vms: [{guest_cid: 2}, {gest_cid: 3}]\n";
  for (const char* flag : {"--check", "--print-config"}) {
    const absl::StatusOr<CommandLine> line = Parse({"--config", dir / "k.yaml", flag, "--reactors=0"});
    ASSERT_TRUE(line.ok()) << line.status();
    ASSERT_EQ(line->problems.size(), 3u);
    EXPECT_EQ(line->problems[0].place, dir / "k.yaml:1:19");
    EXPECT_EQ(line->problems[0].field, "vms[0].guest_cid");
    EXPECT_THAT(line->problems[1].ToString(),
                HasSubstr("k.yaml:1:24: vms[1].gest_cid: is not a setting of a VM (did you"));
    EXPECT_THAT(line->problems[2].what, HasSubstr("--reactors"));
  }
}

TEST(FlagsTest, ClashesInAFileNameBothLines) {
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "networks: [{name: lab}, {name: lab}]\n"
                                   "policies: [{name: a}, {name: a, network: lab}, {name: a}]\n"
                                   "vms:\n"
                                   "- {guest_cid: 3, socket: /a, uds_path: /b}\n"
                                   "- {guest_cid: 4, socket: /b}\n";
  EXPECT_THAT(Fault({"--config", dir / "k.yaml"}),
              AllOf(HasSubstr("k.yaml:1:25: name \"lab\" is already that of the network at"),
                    HasSubstr("k.yaml:2:48: name \"a\" is already that of the policy at"),
                    HasSubstr("k.yaml:5:3: path \"/b\" is already that of the VM at " + (dir / "k.yaml:4:3"))));
}

TEST(FlagsTest, AFileIsReadAnewBelowTheFlags) {
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "vms: [{guest_cid: 3}]\n";
  const absl::StatusOr<CommandLine> line = Parse({"--config", dir / "k.yaml", "--reactors=2"});
  ASSERT_TRUE(line.ok()) << line.status();
  std::ofstream(dir / "k.yaml") << "daemon: {reactors: 3}\nvms: [{guest_cid: 4}]\n";
  const ConfigReading anew = line->reread();
  EXPECT_THAT(anew.problems, IsEmpty());
  EXPECT_EQ(anew.config.vms[0].creation.id, "vm-4");
  EXPECT_EQ(anew.config.reactors, 2u);
  std::ofstream(dir / "k.yaml") << "vms: {\n";
  EXPECT_EQ(line->reread().problems.size(), 1u);
  EXPECT_EQ(Parse({"--socket=/a"})->reread, nullptr);
  EXPECT_THAT(Fault({"--config", dir.path()}), HasSubstr("is no file but something else"));
}

}  // namespace
}  // namespace kinsock
