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
#include <string>
#include <vector>

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
      {"api: {viewer_socket: [unix:/x]}\n", "f:1:22: api.viewer_socket: is or has what is not text"},
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
       "f:2:22: networks[0].quota.max_connection: is not a limit"},
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

TEST(YamlTest, DeepNestingIsNoCrash) { EXPECT_FALSE(ParseYamlConfig("vms: " + std::string(100'000, '['), "f").ok()); }

TEST(YamlTest, TheFileIsTakenThroughTheCommandLine) {
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "vms:\n  - guest_cid: 9\n    socket: /tmp/s\n";
  const Config config = Good({"--config", dir / "k.yaml"});
  ASSERT_EQ(config.vms.size(), 1u);
  EXPECT_EQ(config.vms[0].creation.id, "vm-9");
  EXPECT_THAT(config.api_sockets, IsEmpty());
}

// ---- HTTP.

TEST(HttpSettingsTest, ServedNowhereUnlessAskedFor) {
  EXPECT_FALSE(Good({}).http.wanted());
  EXPECT_EQ(Good({"--http", "unix:/run/h.sock"}).http.socket, "/run/h.sock");
  EXPECT_EQ(Good({"--http", "tcp:127.0.0.1:9470"}).http.tcp->text(), "127.0.0.1:9470");
  EXPECT_EQ(Good({"--http", "tcp:[::1]:9470", "--per-vm-metrics", "basic"}).http.per_vm, PerVmMetrics::kBasic);
}

TEST(HttpSettingsTest, WhatWouldLetOthersInIsRefused) {
  for (const char* endpoint : {"tcp:0.0.0.0:80", "tcp:192.0.2.1:80", "tcp:[::]:80"}) {
    EXPECT_THAT(Fault({"--http", endpoint}), HasSubstr("can be reached from other machines")) << endpoint;
  }
  EXPECT_THAT(Fault({"--http", "http://localhost"}), HasSubstr("--http: "));
  EXPECT_THAT(Fault({"--per-vm-metrics", "none"}), HasSubstr("--per-vm-metrics: \"none\" is none of"));
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
