// SPDX-License-Identifier: Apache-2.0
//
// Command lines and files: flag_config, yaml_config, vm_settings.
#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "server/config_yaml.h"
#include "server/flag_config.h"
#include "server/yaml_config.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::StatusOr<CommandLine> Parse(std::vector<std::string> arguments) {
  std::vector<const char*> argv{"kinsockd"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return ParseCommandLine(static_cast<int>(argv.size()), argv.data());
}

Config Good(const std::vector<std::string>& arguments) {
  absl::StatusOr<CommandLine> line = Parse(arguments);
  EXPECT_TRUE(line.ok()) << line.status();
  return line.ok() ? line->config : Config();
}

std::string Fault(const std::vector<std::string>& arguments) {
  return std::string(Parse(arguments).status().message());
}

// ---- The existing daemon's command lines, from its README.

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

// ---- Our own.

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

// ---- Files.

TEST(YamlTest, AFileOfTheExistingDaemonLoadsUnchanged) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(R"(
vms:
    - guest_cid: 3
      socket: /tmp/vhost3.socket
      uds_path: /tmp/vm3.sock
      tx_buffer_size: 65536
      queue_size: 1024
      groups: group1+groupA
    - guest-cid: 4
      socket: "/tmp/vhost4.socket"
      uds-path: /tmp/vm4.sock
      tx-buffer-size: 65536
      queue-size: 1024
      groups: group2+groupB
    - guest_cid: 5
      socket: /tmp/vhost5.socket
      forward-cid: 1
      forward-listen: 9001+9002
    - guest_cid: 6
      socket: /tmp/vhost6.socket
      forward_cid: 1
      forward_listen: 9003
)",
                                                            "old.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->vms.size(), 4u);
  EXPECT_EQ(config->vms[0].origin, "old.yaml:3:7");
  EXPECT_EQ(config->vms[2].creation.spec.vsock_proxy, (VsockProxy{.forward_cid = 1, .listen_ports = {9001, 9002}}));
  EXPECT_EQ(config->vms[3].creation.spec.vsock_proxy, (VsockProxy{.forward_cid = 1, .listen_ports = {9003}}));
  EXPECT_EQ(config->vms[1].creation.spec.cid, CidRequest::Fixed(4));
  EXPECT_THAT(config->vms[1].creation.spec.groups, ElementsAre("group2", "groupB"));
  EXPECT_THAT(config->api_sockets, IsEmpty());
}

TEST(YamlTest, OurOwnKeys) {
  unsetenv("XDG_RUNTIME_DIR");
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(
      "api: {listen: ['unix:%t/kinsock/api.sock']}\n"
      "vms: [{name: web-1, guest_cid: auto, socket: '%t/kinsock/web-1.sock', groups: [web, db]}]\n",
      "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->api_sockets, ElementsAre("/run/kinsock/api.sock"));
  const VmCreation& vm = config->vms[0].creation;
  EXPECT_EQ(vm.id, "web-1");
  EXPECT_EQ(vm.spec.cid, CidRequest::Automatic());
  EXPECT_EQ(vm.spec.vhost_user_socket, "/run/kinsock/web-1.sock");
  EXPECT_THAT(vm.spec.groups, ElementsAre("web", "db"));
}

TEST(YamlTest, Quotas) {
  const absl::StatusOr<YamlConfig> file = ParseYamlConfig(
      "defaults: {quota: {max_connections: 1024, bytes_to_guest: {rate: 1000000, burst: 20000}}}\n"
      "vms:\n"
      "- {guest_cid: 3, socket: /run/a.sock, quota: {max-connections: 5, connects_per_second: 10}}\n",
      "f");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->quota.max_connections, 1024u);
  EXPECT_EQ(file->quota.bytes_to_guest, (Rate{1'000'000, 20'000}));
  ASSERT_EQ(file->vms.size(), 1u);
  EXPECT_EQ(file->vms[0].creation.spec.quota.max_connections, 5u);
  EXPECT_EQ(file->vms[0].creation.spec.quota.connects_per_second, (Rate{10, 0}));
}

TEST(YamlTest, FaultsOfQuotas) {
  const std::string faults(
      ParseYamlConfig("defaults:\n"
                      "  quta: {}\n"
                      "  quota:\n"
                      "    max_conections: 5\n"
                      "    max_buffer_bytes: much\n"
                      "    bytes_to_guest: [1]\n"
                      "    bytes_from_guest: {rate: x, bust: 1}\n"
                      "vms: [{guest_cid: 3, socket: /run/a.sock, quota: {max_connections: 70000}}]\n",
                      "f")
          .status()
          .message());
  EXPECT_THAT(faults, AllOf(HasSubstr("f:2:3: defaults.quta: is not a setting (did you mean \"quota\"?)"),
                            HasSubstr("f:4:5: defaults.quota.max_conections: is not a limit (did you mean"),
                            HasSubstr("f:5:23: defaults.quota.max_buffer_bytes: is not a number"),
                            HasSubstr("f:6:21: defaults.quota.bytes_to_guest: is neither a number nor"),
                            HasSubstr("defaults.quota.bytes_from_guest.rate: is not a number"),
                            HasSubstr("defaults.quota.bytes_from_guest.bust: is not part of a rate"),
                            HasSubstr("vms[0].quota.max_connections: 70000 is not from 1 to 65536")));
}

TEST(YamlTest, WhoSaysThatAGuestIsReady) {
  const absl::StatusOr<YamlConfig> file = ParseYamlConfig(
      "vms:\n"
      "- {guest_cid: 3, socket: /run/a.sock, readiness: {guest_connects_port: 9000}}\n"
      "- {guest_cid: 4, socket: /run/b.sock, readiness: {probe-guest-port: 22}}\n"
      "- {guest_cid: 5, socket: /run/c.sock, readiness: {sd_notify_port: 9001}}\n",
      "f");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->vms.size(), 3u);
  EXPECT_EQ(file->vms[0].creation.spec.readiness, (Readiness{Readiness::Source::kGuestConnects, 9000}));
  EXPECT_EQ(file->vms[1].creation.spec.readiness, (Readiness{Readiness::Source::kProbe, 22}));
  EXPECT_EQ(file->vms[2].creation.spec.readiness, (Readiness{Readiness::Source::kNotify, 9001}));
  const std::string faults(
      ParseYamlConfig("vms:\n"
                      "- {guest_cid: 3, socket: /run/a.sock, readiness: {sd_notify_prot: 1}}\n"
                      "- {guest_cid: 4, socket: /run/b.sock, readiness: {sd_notify_port: 1, probe_guest_port: 2}}\n"
                      "- {guest_cid: 5, socket: /run/c.sock, readiness: {sd_notify_port: x}}\n"
                      "- {guest_cid: 6, socket: /run/d.sock, readiness: {sd_notify_port: 0}}\n",
                      "f")
          .status()
          .message());
  EXPECT_THAT(faults, AllOf(HasSubstr("readiness.sd_notify_prot: is not a source (did you mean \"sd_notify_port\"?)"),
                            HasSubstr("vms[1].readiness: is not one source"),
                            HasSubstr("vms[2].readiness.sd_notify_port: is not a port"),
                            HasSubstr("vms[3].readiness: 0 is not a port from 1 to 4294967294")));
}

TEST(YamlTest, WhoMayUseTheApi) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(
      "api:\n"
      "  viewer_socket: unix:/v\n"
      "  roles: {admin: {gids: [50002]}, viewer: {uids: [50001, daemon], gids: [50003]}}\n",
      "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->api_view_sockets, ElementsAre("/v"));
  EXPECT_EQ(config->api_roles.RoleOf({50'000, 50'002, 1, {}}), Role::kAdmin);
  EXPECT_EQ(config->api_roles.RoleOf({50'001, 50'000, 1, {}}), Role::kViewer);
  EXPECT_EQ(config->api_roles.RoleOf({1, 50'000, 1, {}}), Role::kViewer);
  EXPECT_EQ(config->api_roles.RoleOf({50'000, 50'000, 1, {50'003}}), Role::kViewer);
}

TEST(FlagsTest, WhereApiClientsMayHaveSockets) {
  EXPECT_THAT(Good({}).socket_dirs, IsEmpty());
  EXPECT_THAT(Good({"--socket-dir=/srv/a", "--socket-dir", "%t/b"}).socket_dirs, ElementsAre("/srv/a", "/run/b"));
  EXPECT_THAT(Fault({"--socket-dir=/srv/../etc"}), HasSubstr("--socket-dir: \"/srv/../etc\" has \"..\" in it"));
  EXPECT_THAT(Fault({"--socket-dir="}), HasSubstr("--socket-dir"));
  EXPECT_THAT(ParseYamlConfig("api: {socket_dirs: [/srv/a, /]}\n", "f")->socket_dirs, ElementsAre("/srv/a", "/"));
}

TEST(YamlTest, TheApiOverTcp) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(
      "api: {listen: ['tcp:127.0.0.1:7443', 'unix:/x', 'tcp:[::1]:7443'], tls: {cert: /c, key: /k, client_ca: /a},\n"
      "      roles: {admin: {sans: ['spiffe://fleet/boss']}}}\n",
      "f");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->api_tcp.size(), 2u);
  EXPECT_EQ(config->api_tcp[1].text(), "[::1]:7443");
  EXPECT_THAT(config->api_sockets, ElementsAre("/x"));
  EXPECT_EQ(config->tls.certificate, "/c");
  EXPECT_EQ(config->tls.key, "/k");
  EXPECT_EQ(config->tls.client_ca, "/a");
  EXPECT_EQ(config->api_roles.RoleOf(std::vector<std::string>{"spiffe://fleet/boss"}).first, Role::kAdmin);
}

TEST(YamlTest, AnEmptyFileAsksForNothing) {
  EXPECT_TRUE(ParseYamlConfig("", "f").ok());
  EXPECT_TRUE(ParseYamlConfig("vms:\n", "f").ok());
}

struct BadYaml {
  const char* yaml;
  const char* says;
};

TEST(YamlTest, FaultsNameLineColumnAndField) {
  const std::vector<BadYaml> cases = {
      {"vms:\n  - guest_cid: 2\n", "f:2:16: vms[0].guest_cid: 2 is reserved"},
      {"vms:\n  - guest_cid: 3\n    queue_sze: 1\n",
       "f:3:5: vms[0].queue_sze: is not a setting of a VM (did you mean \"queue_size\"?)"},
      {"vms:\n  - guest_cid: three\n", "f:2:16: vms[0].guest_cid: \"three\" is not a number"},
      {"vms:\n  - guest_cid: [3]\n", "f:2:16: vms[0].guest_cid: is not a single value"},
      {"vms:\n  - guest_cid: 3\n    guest-cid: 4\n", "f:3:5: vms[0].guest_cid: was said already in line 2"},
      {"vms:\n  - guest_cid: auto\n", "f:2:5: vms[0]: has neither a name nor a fixed guest_cid"},
      {"vms:\n  - guest_cid: 3\n    forward_cid: one\n", "f:3:18: vms[0].forward_cid: \"one\" is not a number"},
      {"vms:\n  - forward_cid: 1\n    forward_listen: 0+9\n",
       "f:3:21: vms[0].forward_listen: 0 is not a port from 1 to 4294967294"},
      {"vms:\n  - guest_cid: 3\n    groups: [a, [b]]\n", "f:3:13: vms[0].groups: has an entry that is not text"},
      {"vms:\n  - just text\n", "f:2:5: vms[0]: is not a VM"},
      {"vms: 3\n", "f:1:6: vms: is not a list"},
      {"vmss: []\n", "f:1:1: vmss: is not a setting (did you mean \"vms\"?)"},
      {"api: {listen: unix:/x}\n", "f:1:15: api.listen: is not a list"},
      {"api: {listen: [/x]}\n", "f:1:16: api.listen: \"/x\" is not a UNIX socket; give unix:PATH"},
      {"api: {viewer_socket: {a: b}}\n", "f:1:22: api.viewer_socket: is or has what is not text"},
      {"api: {viewer_socket: [unix:/x, [a]]}\n", "f:1:32: api.viewer_socket: is or has what is not text"},
      {"daemon: {reactors: 65}\n", "f:1:20: daemon.reactors: is not a number from 1 to 64"},
      {"daemon: {poll_us: 10001}\n", "f:1:19: daemon.poll_us: is not a number from 0 to 10000"},
      {"daemon: {log_format: xml}\n", "f:1:22: daemon.log_format: is neither kv nor json"},
      {"defaults: {queue_size: 5}\n", "f:1:24: defaults.queue_size: 5 is not a power of two"},
      {"vms:\n  - guest_cid: 2047-1024\n    name: a\n", "f:2:16: vms[0].guest_cid: "},
      {"vms:\n  - guest_cid: 1024-x\n", "f:2:16: vms[0].guest_cid: \"1024-x\" is not a number"},
      {"vms:\n  - {guest_cid: 3, sticky_cid: true}\n", "f:2:32: vms[0].sticky_cid: is of no use with a fixed"},
      {"vms:\n  - labels: [a]\n", "f:2:13: vms[0].labels: is not a map"},
      {"vms:\n  - labels: {a b: c}\n", "f:2:13: vms[0].labels: key \"a b\" is not"},
      {"vms:\n  - labels: {a: b, a: c}\n", "f:2:20: vms[0].labels: has \"a\" twice"},
      {"vms:\n  - annotations: {a: [b]}\n", "f:2:19: vms[0].annotations: has what is not text"},
      {"vms:\n  - orphan_ttl: ten\n", "f:2:17: vms[0].orphan_ttl: is not a time"},
      {"vms:\n  - orphan_ttl: 721h\n", "f:2:17: vms[0].orphan_ttl: is not from 0 to 720 hours"},
      {"vms:\n  - allow_seqpacket: 1\n", "f:2:22: vms[0].allow_seqpacket: is neither true nor false"},
      {"api: {rolls: 1}\n", "f:1:7: api.rolls: is not a setting (did you mean \"roles\"?)"},
      {"api: {listen: ['tcp:host:1']}\n", "f:1:16: api.listen: \"tcp:host:1\" is not an address"},
      {"api: {socket_dirs: /a}\n", "f:1:20: api.socket_dirs: is not a list"},
      {"api: {socket_dirs: [/a/]}\n", "f:1:21: api.socket_dirs: \"/a/\" has an empty component"},
      {"api: {tls: 1}\n", "f:1:12: api.tls: is not a map"},
      {"api: {tls: {crt: /c}}\n", "f:1:13: api.tls.crt: is not a setting (did you mean \"cert\"?)"},
      {"api: {tls: {key: [a]}}\n", "f:1:18: api.tls.key: is not the name of a file"},
      {"api: {roles: 1}\n", "f:1:14: api.roles: is not a map"},
      {"api: {roles: {boss: {uids: [1]}}}\n", "f:1:29: api.roles.boss.uids: \"boss\" is no role"},
      {"api: {roles: {admin: 1}}\n", "f:1:22: api.roles.admin: is not a map"},
      {"api: {roles: {admin: {uid: [1]}}}\n", "f:1:23: api.roles.admin.uid: is not a setting (did you mean \"uids\"?)"},
      {"api: {roles: {admin: {uids: 1}}}\n", "f:1:29: api.roles.admin.uids: is not a list"},
      {"api: {roles: {admin: {gids: [no-such-group-here]}}}\n", "is no group of this machine"},
      {"http: 1\n", "f:1:7: http: is not a map"},
      {"http: {listn: x}\n", "f:1:8: http.listn: is not a setting (did you mean \"listen\"?)"},
      {"http: {listen: [x]}\n", "f:1:16: http.listen: is not a single value"},
      {"http: {listen: \"tcp:0.0.0.0:80\"}\n", "can be reached from other machines"},
      {"http: {ui: maybe}\n", "f:1:12: http.ui: \"maybe\" is neither on nor off"},
      {"http: {per_vm_metrics: some}\n", "f:1:24: http.per_vm_metrics: \"some\" is none of full, basic and off"},
      {"- a\n", "f:1:1: the file is not a list of \"key: value\" pairs"},
      {"vms: [\n", "is not YAML"},
      {"? [a]\n: b\n", "a key is not a word"},
  };
  for (const BadYaml& test : cases) {
    const absl::Status refused = ParseYamlConfig(test.yaml, "f").status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << test.yaml;
    EXPECT_THAT(std::string(refused.message()), HasSubstr(test.says)) << test.yaml;
  }
}

TEST(YamlTest, AllFaultsAreSaidAtOnce) {
  const absl::Status refused =
      ParseYamlConfig("vms:\n  - guest_cid: 2\n  - guest_cid: 3\n    queue_size: 5\nnosuch: 1\n", "f").status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("f:2:16"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("f:4:17"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("f:5:1"));
}

TEST(YamlNetworksTest, NetworksAndPolicies) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(R"(
networks:
  - {name: lab, cid_range: 1024-2047, reserved_ranges: [1100-1199, 2000], quarantine: 2m, default_policy: deny,
     quota: {max_connections: 100, bytes_to_guest: {rate: 1000000, burst: 100000}}}
policies:
  - {network: default, priority: 10, allow: false, from: {labels: {tier: web}}, to: {host: true}, ports: [1-1023]}
  - {name: open, network: lab, allow: true, reset_existing: true, ports: [22],
     from: {groups: [a, b], cid_range: 3-9}, to: {vm: web-1}}
vms:
  - {name: here, guest_cid: 42}
  - {name: there, network: lab, guest_cid: 42}
)",
                                                            "f");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->networks.size(), 1u);
  const NetworkSpec& network = config->networks[0].creation.spec;
  EXPECT_EQ(network.cids, (CidSpan{1024, 2047}));
  EXPECT_THAT(network.reserved, ElementsAre(CidSpan{1100, 1199}, CidSpan{2000, 2000}));
  EXPECT_EQ(network.quarantine, std::chrono::minutes(2));
  EXPECT_EQ(network.otherwise, DefaultPolicy::kDeny);
  EXPECT_EQ(network.quota.max_connections, 100u);
  EXPECT_EQ(network.quota.bytes_to_guest, (Rate{1'000'000, 100'000}));
  ASSERT_EQ(config->policies.size(), 2u);
  const PolicyCreation& low = config->policies[0].creation;
  EXPECT_EQ(low.id, "file-1");
  EXPECT_EQ(low.network, "default");
  EXPECT_EQ(low.spec.priority, 10);
  EXPECT_FALSE(low.spec.allow);
  EXPECT_EQ(low.spec.from.labels.at("tier"), "web");
  EXPECT_TRUE(low.spec.to.host);
  EXPECT_THAT(low.spec.ports, ElementsAre(PortSpan{1, 1023}));
  const PolicyCreation& open = config->policies[1].creation;
  EXPECT_EQ(open.id, "open");
  EXPECT_TRUE(open.spec.allow && open.spec.reset_existing);
  EXPECT_THAT(open.spec.from.groups, ElementsAre("a", "b"));
  EXPECT_EQ(open.spec.from.cids, (CidSpan{3, 9}));
  EXPECT_EQ(open.spec.to.vm, "vms/web-1");
  EXPECT_EQ(config->vms[1].creation.spec.network, "lab");
}

TEST(YamlNetworksTest, EachFaultIsToldWithItsPlace) {
  const struct {
    const char* yaml;
    const char* fault;
  } kTests[] = {
      {"networks: 3", "f:1:11: networks: is not a list"},
      {"networks:\n- 3", "f:2:3: networks[0]: is not a map"},
      {"networks:\n- {name: lab, cids: 3-9}", "f:2:15: networks[0].cids: is not a setting"},
      {"networks:\n- {name: lab, cid_range: a-9}", "f:2:26: networks[0].cid_range: is not a range"},
      {"networks:\n- {name: lab, cid_range: 9-3}", "f:2:26: networks[0].cid_range: begins at 9"},
      {"networks:\n- {name: lab, quarantine: long}", "f:2:27: networks[0].quarantine: is not a time"},
      {"networks:\n- {name: Lab}", "f:2:10: networks[0].name: \"Lab\" is not an id"},
      {"networks:\n- {name: lab, quota: {max_connection: 3}}",
       "f:2:23: networks[0].quota.max_connection: is not a limit"},
      {"networks:\n- {name: lab, quota: {bytes_to_guest: 1}}", "networks[0].quota.bytes_to_guest.rate: 1 is not from"},
      {"policies:\n- {to: {hosts: true}}", "f:2:9: policies[0].to.hosts: is not a setting"},
      {"policies:\n- {to: {host: 1}}", "f:2:15: policies[0].to.host: is neither true nor false"},
      {"policies:\n- {ports: [9-3]}", "f:2:11: policies[0].ports[0]: begins at 9"},
      {"policies:\n- {priority: high}", "f:2:14: policies[0].priority: is not a number"},
  };
  for (const auto& test : kTests) {
    EXPECT_THAT(std::string(ParseYamlConfig(test.yaml, "f").status().message()), HasSubstr(test.fault)) << test.yaml;
  }
}

TEST(YamlTest, AVmSaysAllThatTheApiKnows) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(R"(
defaults: {queue_size: 256, tx_buffer_size: 32768}
vms:
  - {name: a, guest_cid: 1024-2047, sticky-cid: true, network: lab, labels: {tier: web, zone: "1"},
     annotations: {owner: team a}, orphan_ttl: 90s, allow_seqpacket: false, queue_size: 512}
)",
                                                            "f");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->vms.size(), 1u);
  const VmCreation& vm = config->vms[0].creation;
  CidRequest cid = CidRequest::Range(1024, 2047);
  cid.sticky = true;
  EXPECT_EQ(vm.spec.cid, cid);
  EXPECT_EQ(vm.labels, (std::map<std::string, std::string>{{"tier", "web"}, {"zone", "1"}}));
  EXPECT_EQ(vm.annotations.at("owner"), "team a");
  EXPECT_EQ(vm.spec.orphan_ttl, std::chrono::seconds(90));
  EXPECT_EQ(vm.spec.allow_seqpacket, false);
  EXPECT_EQ(vm.spec.queue_size, 512u) << "its own";
  EXPECT_EQ(vm.spec.tx_buffer_bytes, 32768u) << "the file's";
}

TEST(YamlTest, FaultsHaveABound) {
  std::string yaml = "vms:\n";
  for (int i = 0; i < 1000; ++i) yaml += "  - {guest_cid: 2, grups: a}\n";
  const std::string faults(ParseYamlConfig(yaml, "f").status().message());
  EXPECT_LT(faults.size(), 100'000u);
  EXPECT_THAT(faults, HasSubstr("f: has 800 more faults"));
}

TEST(YamlTest, AliasesOfAliasesAreBounded) {
  // Some 8 KiB that would be 10^9 labels if each alias were a copy.
  std::string yaml = "vms:\n- &vm {guest_cid: 3, labels: {";
  for (int i = 0; i < 64; ++i) yaml += "l" + std::to_string(i) + ": x, ";
  yaml += "}}\n";
  for (int i = 0; i < 20'000; ++i) yaml += "- *vm\n";
  EXPECT_THAT(std::string(ParseYamlConfig(yaml, "f").status().message()), HasSubstr("a daemon at most 16384"));
}

// ---- What is written can be read.

// Everything that can be said, with texts that look like something else.
Config Everything() {
  Config config;
  config.api_sockets = {"/run/kinsock/api.sock", "/run/a b: c.sock"};
  config.api_view_sockets = {"/run/view.sock", "/run/view2.sock"};
  config.api_tcp = {*TcpEndpoint::Parse("tcp:[::1]:7443")};
  config.tls = {"/c", "/k", "/a"};
  config.socket_dirs = {"/srv/vms", "/"};
  EXPECT_EQ(config.api_roles.Add("admin=group:50002"), "");
  EXPECT_EQ(config.api_roles.Add("viewer=user:50001"), "");
  EXPECT_EQ(config.api_roles.Add("operator=san:spiffe://fleet/x"), "");
  config.quota = {.max_connections = 1024, .bytes_to_guest = {1'000'000, 100'000}};
  config.state_dir = "/var/lib/kinsock";
  config.reactors = 3;
  config.poll = std::chrono::microseconds(7);
  config.log_format = LogFormat::kJson;

  NetworkCreation lab;
  lab.id = "lab";
  lab.spec = {.cids = {1024, 2047},
              .reserved = {{1100, 1199}, {1500, 1500}},
              .quarantine = std::chrono::milliseconds(90'500),
              .otherwise = DefaultPolicy::kDeny,
              .quota = {.max_buffer_bytes = 65536, .packets_from_guest = {1000, 0}}};
  config.networks.push_back({lab, "lab"});
  NetworkCreation plain;
  plain.id = "null";
  config.networks.push_back({plain, "plain"});

  PolicyCreation policy;
  policy.id = "low-ports";
  policy.network = "lab";
  policy.spec = {.priority = -5, .allow = true, .reset_existing = true};
  policy.spec.from = {
      .vm = "vms/a", .groups = {"true", "x y", "\u00e4"}, .labels = {{"tier", "1.0"}}, .cids = CidSpan{3, 9}};
  policy.spec.to.host = true;
  policy.spec.ports = {{22, 22}, {1000, 2000}};
  config.policies.push_back({policy, "policy"});

  VmCreation vm;
  vm.id = "a";
  vm.labels = {{"tier", "null"}, {"zone", ""}, {"n", "0x1f"}, {"v", "1e3"}};
  vm.annotations = {{"note", "line\nline \"quoted\" \t# no comment \\"},
                    {"~", "x"},
                    {std::string(1500, 'k'), "long"},
                    {"\u2603", "- [a, b]: {c}"}};
  vm.spec.network = "lab";
  vm.spec.cid = CidRequest::Range(1024, 2000);
  vm.spec.cid.sticky = true;
  vm.spec.vhost_user_socket = "/run/a.sock";
  vm.spec.has_uds = true;
  vm.spec.uds_path = "/run/a#1.uds";
  vm.spec.groups = {"db", "a: b", "null"};
  vm.spec.queue_size = 512;
  vm.spec.tx_buffer_bytes = 4096;
  vm.spec.allow_seqpacket = false;
  vm.spec.quota = {.max_connections = 5,
                   .max_pending_connections = 4,
                   .connects_per_second = {10, 0},
                   .bytes_from_guest = {1'000'000, 500'000}};
  vm.spec.readiness = {Readiness::Source::kProbe, 22};
  vm.spec.orphan_ttl = std::chrono::milliseconds(1'500);
  config.vms.push_back({vm, "a"});
  VmCreation proxy;
  proxy.id = "b";
  proxy.spec.cid = CidRequest::Fixed(42);
  proxy.spec.vsock_proxy = VsockProxy{.forward_cid = 1, .listen_ports = {9001, 9002}};
  config.vms.push_back({proxy, "b"});
  VmCreation automatic;
  automatic.id = "c";
  config.vms.push_back({automatic, "c"});
  return config;
}

TEST(WrittenConfigTest, IsReadAsItWas) {
  const Config config = Everything();
  const std::string yaml = ConfigToYaml(config);
  const absl::StatusOr<YamlConfig> read = ParseYamlConfig(yaml, "f");
  ASSERT_TRUE(read.ok()) << read.status() << "\n" << yaml;
  EXPECT_EQ(read->api_sockets, config.api_sockets);
  EXPECT_EQ(read->api_view_sockets, config.api_view_sockets);
  ASSERT_EQ(read->api_tcp.size(), 1u);
  EXPECT_EQ(read->api_tcp[0].text(), "[::1]:7443");
  EXPECT_EQ(read->tls.key, "/k");
  EXPECT_EQ(read->socket_dirs, config.socket_dirs);
  EXPECT_EQ(read->api_roles, config.api_roles);
  EXPECT_EQ(read->quota, config.quota);
  EXPECT_EQ(read->state_dir, config.state_dir);
  EXPECT_EQ(read->reactors, config.reactors);
  EXPECT_EQ(read->poll, config.poll);
  EXPECT_EQ(read->log_format, config.log_format);
  ASSERT_EQ(read->networks.size(), config.networks.size());
  for (size_t i = 0; i < config.networks.size(); ++i) {
    EXPECT_EQ(read->networks[i].creation.id, config.networks[i].creation.id);
    EXPECT_EQ(read->networks[i].creation.spec, config.networks[i].creation.spec) << yaml;
  }
  ASSERT_EQ(read->policies.size(), 1u);
  EXPECT_EQ(read->policies[0].creation.id, "low-ports");
  EXPECT_EQ(read->policies[0].creation.network, "lab");
  EXPECT_EQ(read->policies[0].creation.spec, config.policies[0].creation.spec) << yaml;
  ASSERT_EQ(read->vms.size(), config.vms.size());
  for (size_t i = 0; i < config.vms.size(); ++i) {
    const VmCreation &is = read->vms[i].creation, &was = config.vms[i].creation;
    EXPECT_EQ(is.id, was.id);
    EXPECT_EQ(is.labels, was.labels) << yaml;
    EXPECT_EQ(is.annotations, was.annotations) << yaml;
    EXPECT_EQ(is.spec, was.spec) << yaml;
  }
}

TEST(WrittenConfigTest, IsWrittenAgainAsItWas) {
  testing::TempDir dir;
  Config config = Everything();
  config.api_tcp.clear();  // whose certificates would have to be there
  config.tls = {};
  const std::string yaml = ConfigToYaml(config);
  std::ofstream(dir / "k.yaml") << yaml;
  const absl::StatusOr<CommandLine> line = Parse({"--config", dir / "k.yaml", "--print-config"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->action, CommandLine::Action::kPrint);
  EXPECT_THAT(line->problems, IsEmpty());
  EXPECT_EQ(line->text, yaml);
}

TEST(WrittenConfigTest, AReservedCidIsWrittenAsTheOneItIs) {
  VmSpec spec;
  spec.cid = CidRequest::Reserved("default", 50);
  const absl::StatusOr<YamlConfig> read = ParseYamlConfig("vms:\n" + VmToYaml("a", {}, {}, spec), "f");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->vms[0].creation.spec.cid, CidRequest::Fixed(50));
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

TEST(YamlTest, DeepNestingIsNoCrash) { EXPECT_FALSE(ParseYamlConfig("vms: " + std::string(100'000, '['), "f").ok()); }

TEST(YamlTest, TheFileIsTakenThroughTheCommandLine) {
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "vms:\n  - guest_cid: 9\n    socket: /tmp/s\n";
  const Config config = Good({"--config", dir / "k.yaml"});
  ASSERT_EQ(config.vms.size(), 1u);
  EXPECT_EQ(config.vms[0].creation.id, "vm-9");
  EXPECT_THAT(config.api_sockets, IsEmpty());
}

TEST(YamlForwardsTest, BothDirectionsByTheirAddress) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(R"(
forwards:
  - {name: ssh, vm: web-1, guest_port: 22, listen: "unix:/run/ssh.sock", mode: "0622", group: 0}
  - {name: log, vm: vms/web-1, guest-port: 514, target: "tcp:[::1]:514", send_proxy_v2: true}
)",
                                                            "f");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->forwards.size(), 2u);
  const ForwardSpec& ssh = config->forwards[0].creation.spec;
  EXPECT_EQ(config->forwards[0].creation.id, "ssh");
  EXPECT_EQ(config->forwards[0].origin, "f:3:5");
  EXPECT_EQ(ssh.vm, "vms/web-1");
  EXPECT_TRUE(ssh.to_guest());
  EXPECT_EQ(ssh.listen, "unix:/run/ssh.sock");
  EXPECT_EQ(ssh.access->mode, 0622u);
  EXPECT_EQ(ssh.access->gid, 0u);
  const ForwardSpec& log = config->forwards[1].creation.spec;
  EXPECT_EQ(log.vm, "vms/web-1");
  EXPECT_EQ(log.direction, Forward::Direction::kFromGuest);
  EXPECT_EQ(log.target, "tcp:[::1]:514");
  EXPECT_TRUE(log.send_proxy_v2);
}

TEST(YamlForwardsTest, FaultsNameLineColumnAndField) {
  const std::vector<BadYaml> cases = {
      {"forwards: 1", "f:1:11: forwards: is not a list"},
      {"forwards:\n- ssh", "f:2:3: forwards[0]: is not a map"},
      {"forwards:\n- {lisen: x}", "f:2:4: forwards[0].lisen: is not a setting (did you mean \"listen\"?)"},
      {"forwards:\n- {guest_port: ssh}", "f:2:16: forwards[0].guest_port: is not a number"},
      {"forwards:\n- {mode: 9}", "f:2:10: forwards[0].mode: is not a mode"},
      {"forwards:\n- {name: a, vm: b, guest_port: 1}", "f:2:3: forwards[0].listen: is missing, and so is target"},
      {"forwards:\n- {name: a, vm: b, guest_port: 1, listen: \"tcp:0.0.0.0:1\"}",
       "f:2:43: forwards[0].listen: \"tcp:0.0.0.0:1\" is not on the loopback interface"},
      {"forwards:\n- {name: a, vm: b, guest_port: 1, listen: \"unix:/a\", owner: no-such-user-here}",
       "forwards[0].owner: there is no user \"no-such-user-here\""},
      {"forwards:\n- {name: a, vm: b, guest_port: 1, target: \"unix:/a\", mode: 0600}",
       "forwards[0].mode: is for TO_GUEST on a UNIX socket"},
  };
  for (const BadYaml& test : cases) {
    const absl::Status refused = ParseYamlConfig(test.yaml, "f").status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << test.yaml;
    EXPECT_THAT(std::string(refused.message()), HasSubstr(test.says)) << test.yaml;
  }
}

// ---- HTTP.

TEST(HttpSettingsTest, ServedNowhereUnlessAskedFor) {
  EXPECT_FALSE(Good({}).http.wanted());
  EXPECT_EQ(Good({"--http", "unix:/run/h.sock"}).http.socket, "/run/h.sock");
  EXPECT_EQ(Good({"--http", "tcp:127.0.0.1:9470"}).http.tcp->text(), "127.0.0.1:9470");
  EXPECT_EQ(Good({"--http", "tcp:[::1]:9470", "--per-vm-metrics", "basic"}).http.per_vm, PerVmMetrics::kBasic);
  EXPECT_TRUE(Good({"--http", "tcp:[::1]:9470"}).http.ui);
  EXPECT_FALSE(Good({"--http", "tcp:[::1]:9470", "--http-ui", "off"}).http.ui);
}

TEST(HttpSettingsTest, WhatWouldLetOthersInIsRefused) {
  for (const char* endpoint : {"tcp:0.0.0.0:80", "tcp:192.0.2.1:80", "tcp:[::]:80"}) {
    EXPECT_THAT(Fault({"--http", endpoint}), HasSubstr("can be reached from other machines")) << endpoint;
  }
  EXPECT_THAT(Fault({"--http", "http://localhost"}), HasSubstr("--http: "));
  EXPECT_THAT(Fault({"--per-vm-metrics", "none"}), HasSubstr("--per-vm-metrics: \"none\" is none of"));
}

TEST(HttpSettingsTest, ThePrintedConfigurationHasThem) {
  for (const char* endpoint : {"unix:/run/h.sock", "tcp:127.0.0.1:9470"}) {
    const std::string printed = ConfigToYaml(Good({"--http", endpoint, "--per-vm-metrics", "off"}));
    const absl::StatusOr<YamlConfig> read = ParseYamlConfig(printed, "f");
    ASSERT_TRUE(read.ok()) << read.status() << printed;
    EXPECT_EQ(read->http.endpoint(), endpoint);
    EXPECT_EQ(read->http.per_vm, PerVmMetrics::kOff);
  }
  EXPECT_EQ(ConfigToYaml(Good({})).find("http:"), std::string::npos) << "served nowhere";
}

TEST(HttpSettingsTest, TheCommandLineStandsBeforeTheFile) {
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "http: {listen: \"unix:/run/h.sock\", per_vm_metrics: off}\n";
  EXPECT_EQ(Good({"--config", dir / "k.yaml"}).http.socket, "/run/h.sock");
  EXPECT_EQ(Good({"--config", dir / "k.yaml"}).http.per_vm, PerVmMetrics::kOff);
  const Config config = Good({"--config", dir / "k.yaml", "--http", "tcp:127.0.0.1:1"});
  EXPECT_EQ(config.http.socket, "");
  EXPECT_TRUE(config.http.tcp.has_value());
}

}  // namespace
}  // namespace kinsock
