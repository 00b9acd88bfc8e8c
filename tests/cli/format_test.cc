// SPDX-License-Identifier: Apache-2.0
//
// How kinsockctl reads and writes small things: duration, yaml_text, yaml_json, vmm_args, error_report,
// exit_code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "cli/call/error_report.h"
#include "cli/call/exit_code.h"
#include "cli/call/same_daemon.h"
#include "cli/flags/readiness_flag.h"
#include "cli/manifest/yaml_json.h"
#include "cli/text/duration.h"
#include "cli/text/yaml_text.h"
#include "cli/view/vm_view.h"
#include "cli/view/vmm_args.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(DurationTest, ReadsWhatPeopleWrite) {
  EXPECT_EQ(*ParseDuration("30s"), milliseconds(30'000));
  EXPECT_EQ(*ParseDuration("500ms"), milliseconds(500));
  EXPECT_EQ(*ParseDuration("1m30s"), milliseconds(90'000));
  EXPECT_EQ(*ParseDuration("5"), milliseconds(5'000));
  for (const char* text : {"", "x", "-5s", "5 s", "inf", "999999h"})
    EXPECT_FALSE(ParseDuration(text).has_value()) << text;
}

TEST(DurationTest, AgesAreShort) {
  EXPECT_EQ(ShortAge(std::chrono::seconds(-3)), "0s");
  EXPECT_EQ(ShortAge(std::chrono::seconds(119)), "119s");
  EXPECT_EQ(ShortAge(std::chrono::seconds(120)), "2m");
  EXPECT_EQ(ShortAge(std::chrono::hours(3)), "3h");
  EXPECT_EQ(ShortAge(std::chrono::hours(72)), "3d");
}

TEST(YamlTextTest, StringsStayStrings) {
  EXPECT_EQ(JsonToYaml(R"({"name":"vms/a","cid":42,"big":"18446744073709551615","flag":true,"word":"true","no":"no",)"
                       R"("date":"2026-01-01T00:00:00Z","empty":"","list":["a","b: c"],"none":[]})"),
            "name: vms/a\ncid: 42\nbig: \"18446744073709551615\"\nflag: true\nword: \"true\"\n\"no\": \"no\"\n"
            "date: \"2026-01-01T00:00:00Z\"\nempty: \"\"\nlist:\n  - a\n  - \"b: c\"\nnone:\n  []\n");
}

TEST(VmmArgsTest, AreWordsForAShellAndForQemu) {
  v1::Vm vm;
  vm.mutable_status()->set_vhost_user_socket("/run/kinsock/vms/a/vhost.sock");
  EXPECT_EQ(QemuArguments(vm, "4G"),
            "-object memory-backend-memfd,id=mem0,size=4G,share=on -machine memory-backend=mem0 "
            "-chardev socket,id=kinsock0,path=/run/kinsock/vms/a/vhost.sock "
            "-device vhost-user-vsock-pci,chardev=kinsock0\n");
  vm.mutable_status()->set_vhost_user_socket("/tmp/it's, here");
  EXPECT_THAT(QemuArguments(vm, "4G"), HasSubstr("-chardev 'socket,id=kinsock0,path=/tmp/it'\\''s,, here' "));
}

TEST(VmmArgsTest, OtherVmmsHaveTheirOwn) {
  v1::Vm vm;
  vm.mutable_status()->set_vhost_user_socket("/run/a,b&'c'");
  vm.mutable_spec()->set_queue_size(256);
  EXPECT_EQ(CrosvmArguments(vm, "4G"), "--mem size=4096 --vhost-user 'vsock,socket=\"/run/a,b&'\\''c'\\''\"'\n");
  EXPECT_EQ(CloudHypervisorArguments(vm, "512"),
            "--memory size=512M,shared=on --generic-vhost-user "
            "'socket=\"/run/a,b&'\\''c'\\''\",virtio_id=19,queue_sizes=[256,256,256]'\n");
  EXPECT_THAT(LibvirtElements(vm, "2048K"),
              AllOf(HasSubstr("<memory unit='MiB'>2</memory>"), HasSubstr("path=/run/a,,b&amp;&apos;c&apos;'/>")));
}

TEST(VmmArgsTest, AVmThatNotifiesTellsItsGuestWhere) {
  v1::Vm vm;
  vm.mutable_spec()->mutable_readiness()->set_sd_notify_port(9000);
  EXPECT_THAT(QemuArguments(vm, "4G"),
              HasSubstr(" -smbios type=11,value=io.systemd.credential:vmm.notify_socket=vsock:2:9000\n"));
  EXPECT_THAT(CrosvmArguments(vm, "4G"),
              HasSubstr(" --smbios 'oem-strings=[\"io.systemd.credential:vmm.notify_socket=vsock:2:9000\"]'\n"));
  EXPECT_THAT(CloudHypervisorArguments(vm, "4G"),
              HasSubstr(" --platform 'oem_strings=[io.systemd.credential:vmm.notify_socket=vsock:2:9000]'\n"));
  EXPECT_THAT(LibvirtElements(vm, "4G"),
              HasSubstr("  <qemu:arg value='-smbios'/>\n"
                        "  <qemu:arg value='type=11,value=io.systemd.credential:vmm.notify_socket=vsock:2:9000'/>\n"
                        "</qemu:commandline>\n"));
  vm.mutable_spec()->set_allow_seqpacket(false);
  for (const auto write : {QemuArguments, CrosvmArguments, CloudHypervisorArguments, LibvirtElements}) {
    EXPECT_THAT(write(vm, "4G"), HasSubstr("=vsock-stream:2:9000"));
  }
  // Nobody else is told of sockets.
  vm.mutable_spec()->mutable_readiness()->set_probe_guest_port(22);
  for (const auto write : {QemuArguments, CrosvmArguments, CloudHypervisorArguments, LibvirtElements}) {
    EXPECT_THAT(write(vm, "4G"), Not(HasSubstr("systemd")));
  }
}

TEST(VmmArgsTest, WhatSomeGuestsAreNotToldIsSaid) {
  v1::Vm vm;
  for (const char* vmm : {"qemu", "crosvm", "cloud-hypervisor", "libvirt"}) EXPECT_EQ(WhatMayNotBePassed(vm, vmm), "");
  vm.mutable_spec()->mutable_readiness()->set_sd_notify_port(9000);
  for (const char* vmm : {"qemu", "libvirt"}) EXPECT_EQ(WhatMayNotBePassed(vm, vmm), "");
  for (const char* vmm : {"crosvm", "cloud-hypervisor"}) {
    EXPECT_THAT(WhatMayNotBePassed(vm, vmm),
                AllOf(HasSubstr("to guests of x86-64 only"),
                      HasSubstr(": systemd.set_credential=vmm.notify_socket:vsock:2:9000")));
  }
}

TEST(ReadinessFlagTest, ASourceAndItsPort) {
  v1::Readiness readiness;
  EXPECT_TRUE(ParseReadiness("connects:9000", readiness));
  EXPECT_EQ(readiness.guest_connects_port(), 9000u);
  EXPECT_TRUE(ParseReadiness("probe:22", readiness));
  EXPECT_EQ(readiness.probe_guest_port(), 22u);
  EXPECT_TRUE(ParseReadiness("notify:1", readiness));
  EXPECT_EQ(readiness.sd_notify_port(), 1u);
  for (const char* bad : {"", "probe", "probe:", "probe:x", "probe:1:2", "Probe:1", "probe:4294967296", "9000"}) {
    EXPECT_FALSE(ParseReadiness(bad, readiness)) << bad;
  }
}

TEST(VmmArgsTest, MemorySizes) {
  for (const char* good : {"256M", "4G", "1048576", "1t"}) EXPECT_TRUE(IsMemorySize(good)) << good;
  for (const char* bad : {"", "M", "0", "4GB", "-1G", "4G,share=off", "1;rm"}) EXPECT_FALSE(IsMemorySize(bad)) << bad;
}

TEST(VmNameTest, BothSpellingsAreOne) {
  EXPECT_EQ(FullVmName("a"), "vms/a");
  EXPECT_EQ(FullVmName("vms/a"), "vms/a");
  EXPECT_EQ(ShortVmName("vms/a"), "a");
}

TEST(ErrorReportTest, NamesReasonAndNextCommand) {
  const absl::Status attached = Error(absl::StatusCode::kFailedPrecondition, "VM_ATTACHED", "vms/a is in use by pid 7")
                                    .With("pid", "7")
                                    .Resource("kinsock.v1.Vm", "vms/a");
  EXPECT_EQ(DescribeError(ToGrpcStatus(attached), "vm delete"),
            "kinsockctl: VM_ATTACHED: vms/a is in use by pid 7\n  try: kinsockctl vm delete a --force\n");
}

TEST(ErrorReportTest, NamesFlagsNotFields) {
  const std::string text = DescribeError(
      ToGrpcStatus(FieldsInvalid("", {{"vm.spec.uds.path", "is bad"}, {"vm.spec.cid.static_cid", "is worse"}})),
      "vm create");
  EXPECT_THAT(text, HasSubstr("  --uds-path is bad\n"));
  EXPECT_THAT(text, HasSubstr("  --cid is worse\n"));
  const std::string forward = DescribeError(
      ToGrpcStatus(FieldsInvalid(
          "", {{"vm.spec.vsock_proxy.listen_ports[0]", "is bad"}, {"vm.spec.vsock_proxy.forward_cid", "is worse"}})),
      "vm set");
  EXPECT_THAT(forward, HasSubstr("  --forward-listen is bad\n"));
  EXPECT_THAT(forward, HasSubstr("  --forward-cid is worse\n"));
}

TEST(ErrorReportTest, SendsToTheHelpOfTheCommandAtHand) {
  const grpc::Status invalid = ToGrpcStatus(FieldsInvalid("", {{"policy.ports", "is bad"}}));
  EXPECT_THAT(DescribeError(invalid, "policy create"), HasSubstr("  try: kinsockctl policy create --help\n"));
  EXPECT_THAT(DescribeError(invalid, ""), HasSubstr("  try: kinsockctl --help\n"));
}

TEST(SameDaemonTest, WhatIsSuggestedGoesToTheDaemonThatWasNamed) {
  NameDaemon(" --endpoint unix:/x");
  EXPECT_EQ(SameDaemon("kinsockctl vm list"), "kinsockctl --endpoint unix:/x vm list");
  EXPECT_EQ(SameDaemon("sudo kinsockctl connect db 5432"), "sudo kinsockctl --endpoint unix:/x connect db 5432");
  const absl::Status attached =
      Error(absl::StatusCode::kFailedPrecondition, "VM_ATTACHED", "x").Resource("kinsock.v1.Vm", "vms/a");
  EXPECT_THAT(DescribeError(ToGrpcStatus(attached), "vm delete"),
              HasSubstr("  try: kinsockctl --endpoint unix:/x vm delete a --force\n"));
  for (const char* asks_nobody : {"kinsockctl vm create --help", "ss -xltn", "the same again"}) {
    EXPECT_EQ(SameDaemon(asks_nobody), asks_nobody);
  }
  NameDaemon("");
  EXPECT_EQ(SameDaemon("kinsockctl vm list"), "kinsockctl vm list");
  // sudo would lose it.
  setenv("KINSOCK_ENDPOINT", "unix:/y z", 1);
  EXPECT_EQ(SameDaemon("sudo kinsockctl vm list"), "sudo kinsockctl --endpoint 'unix:/y z' vm list");
  EXPECT_EQ(SameDaemon("kinsockctl vm list"), "kinsockctl vm list");
  unsetenv("KINSOCK_ENDPOINT");
}

TEST(YamlJsonTest, EveryDocumentBecomesJson) {
  EXPECT_THAT(*YamlToJson("a: 1\nb: [x, true, \"2\", '3', 4.5, -6]\n---\n---\nc: {d: }\n"),
              ElementsAre(R"({"a":1,"b":["x",true,"2","3",4.5,-6]})", R"({"c":{"d":null}})"));
  EXPECT_THAT(*YamlToJson(R"({"a": "b\nc", "e": "\"\\"})"), ElementsAre(R"({"a":"b\u000ac","e":"\"\\"})"));
  EXPECT_THAT(*YamlToJson("[007, 1e5, 0x10, 1., -, +1]"), ElementsAre(R"(["007","1e5","0x10","1.","-","+1"])"));
}

TEST(YamlJsonTest, AFaultHasItsPlace) {
  EXPECT_THAT(std::string(YamlToJson("a: b\nc: [\n").status().message()), HasSubstr("3:1: "));
  EXPECT_EQ(YamlToJson("? [a]\n: b\n").status().message(), "1:3: a key is not a word");
}

TEST(YamlJsonTest, AliasesOfAliasesHaveAnEnd) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int k = 1; k < 10; ++k) bomb += "," + last;
    bomb += "]\n";
  }
  EXPECT_THAT(std::string(YamlToJson(bomb).status().message()), HasSubstr("more than a request may hold"));
}

TEST(ErrorReportTest, AnErrorWithoutDetailsIsStillSaid) {
  EXPECT_EQ(DescribeError(grpc::Status(grpc::StatusCode::INTERNAL, "boom"), "info"), "kinsockctl: boom\n");
}

TEST(ExitCodeTest, TellsScriptsWhatKindOfErrorItWas) {
  EXPECT_EQ(ExitCodeOf(grpc::StatusCode::OK), 0);
  EXPECT_EQ(ExitCodeOf(grpc::StatusCode::INVALID_ARGUMENT), 1);
  EXPECT_EQ(ExitCodeOf(grpc::StatusCode::NOT_FOUND), 3);
  EXPECT_EQ(ExitCodeOf(grpc::StatusCode::ALREADY_EXISTS), 4);
  EXPECT_EQ(ExitCodeOf(grpc::StatusCode::PERMISSION_DENIED), 5);
  EXPECT_EQ(ExitCodeOf(grpc::StatusCode::UNAVAILABLE), 6);
  EXPECT_EQ(ExitCodeOf(grpc::StatusCode::DEADLINE_EXCEEDED), 124);
}

}  // namespace
}  // namespace kinsock
