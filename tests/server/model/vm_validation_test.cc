// SPDX-License-Identifier: Apache-2.0
#include "server/model/vm_validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;

VmCreation Good() {
  VmCreation vm;
  vm.id = "web-1";
  vm.spec.cid = CidRequest::Fixed(3);
  vm.spec.vhost_user_socket = "/run/a.sock";
  vm.spec.has_uds = true;
  vm.spec.uds_path = "/run/a.uds";
  vm.spec.groups = {"web", "a b", "größe"};
  vm.spec.queue_size = 1024;
  vm.spec.tx_buffer_bytes = 65536;
  vm.labels = {{"tier", "web"}, {"example.com/x", ""}};
  vm.annotations = {{"note", "any text, größer"}};
  vm.request_id = "8f14e45f-ceea-467f-a8f5-5d3c1bd1a6f4";
  return vm;
}

TEST(CheckVmTest, TakesWhatIsGood) {
  EXPECT_THAT(CheckVm(Good()), ::testing::IsEmpty());
  VmCreation smallest;
  smallest.id = "a";
  EXPECT_THAT(CheckVm(smallest), ::testing::IsEmpty());
}

void Forward(VmCreation& vm, VsockProxy proxy) {
  vm.spec.has_uds = false;
  vm.spec.uds_path.clear();
  vm.spec.vsock_proxy = std::move(proxy);
}

struct Case {
  const char* what;
  std::function<void(VmCreation&)> spoil;
  const char* field;
  const char* says;
};

TEST(CheckVmTest, NamesTheFieldThatIsBad) {
  const std::vector<Case> cases = {
      {"no id", [](VmCreation& vm) { vm.id = ""; }, "vm_id", "1 to 63"},
      {"capital id", [](VmCreation& vm) { vm.id = "Web"; }, "vm_id", "lower-case"},
      {"id begins with a digit", [](VmCreation& vm) { vm.id = "1web"; }, "vm_id", "begin with a letter"},
      {"id ends with a hyphen", [](VmCreation& vm) { vm.id = "web-"; }, "vm_id", "end with a hyphen"},
      {"id is a path", [](VmCreation& vm) { vm.id = "a/../b"; }, "vm_id", "a/../b"},
      {"long id", [](VmCreation& vm) { vm.id = std::string(64, 'a'); }, "vm_id", "1 to 63"},
      {"CID 0", [](VmCreation& vm) { vm.spec.cid = CidRequest::Fixed(0); }, "vm.spec.cid.static_cid", "reserved"},
      {"CID 2", [](VmCreation& vm) { vm.spec.cid = CidRequest::Fixed(2); }, "vm.spec.cid.static_cid", "reserved"},
      {"CID any", [](VmCreation& vm) { vm.spec.cid = CidRequest::Fixed(kAnyCid); }, "vm.spec.cid.static_cid",
       "reserved"},
      {"range from 2", [](VmCreation& vm) { vm.spec.cid = CidRequest::Range(2, 9); }, "vm.spec.cid.range.first",
       "reserved"},
      {"range to any", [](VmCreation& vm) { vm.spec.cid = CidRequest::Range(3, kAnyCid); }, "vm.spec.cid.range.last",
       "reserved"},
      {"range backwards", [](VmCreation& vm) { vm.spec.cid = CidRequest::Range(9, 8); }, "vm.spec.cid.range",
       "exchange"},
      {"relative socket", [](VmCreation& vm) { vm.spec.vhost_user_socket = "a"; }, "vm.spec.vhost_user_socket",
       "absolute"},
      {"dotted socket", [](VmCreation& vm) { vm.spec.vhost_user_socket = "/run/../a"; }, "vm.spec.vhost_user_socket",
       ".."},
      {"long socket", [](VmCreation& vm) { vm.spec.vhost_user_socket = "/" + std::string(107, 'a'); },
       "vm.spec.vhost_user_socket", "at most 107"},
      {"long uds path", [](VmCreation& vm) { vm.spec.uds_path = "/" + std::string(96, 'a'); }, "vm.spec.uds.path",
       "at most 96"},
      {"empty uds path", [](VmCreation& vm) { vm.spec.uds_path = ""; }, "vm.spec.uds.path", "empty"},
      {"uds is the socket", [](VmCreation& vm) { vm.spec.uds_path = vm.spec.vhost_user_socket; }, "vm.spec.uds.path",
       "same"},
      {"both host sides",
       [](VmCreation& vm) {
         vm.spec.vsock_proxy = VsockProxy{1, {}};
       },
       "vm.spec.vsock_proxy", "excludes uds"},
      {"forward to 0",
       [](VmCreation& vm) {
         Forward(vm, {0, {}});
       },
       "vm.spec.vsock_proxy.forward_cid", "no CID"},
      {"forward to any",
       [](VmCreation& vm) {
         Forward(vm, {kAnyCid, {}});
       },
       "vm.spec.vsock_proxy.forward_cid", "no CID"},
      {"port 0",
       [](VmCreation& vm) {
         Forward(vm, {1, {9001, 0}});
       },
       "vm.spec.vsock_proxy.listen_ports[1]", "from 1 to 4294967294"},
      {"any port",
       [](VmCreation& vm) {
         Forward(vm, {1, {0xffff'ffff}});
       },
       "vm.spec.vsock_proxy.listen_ports[0]", "from 1 to 4294967294"},
      {"a port twice",
       [](VmCreation& vm) {
         Forward(vm, {1, {7, 8, 7}});
       },
       "vm.spec.vsock_proxy.listen_ports[2]", "there already"},
      {"65 ports",
       [](VmCreation& vm) {
         Forward(vm, {1, std::vector<uint32_t>(65, 7)});
       },
       "vm.spec.vsock_proxy.listen_ports", "at most 64"},
      {"65 groups", [](VmCreation& vm) { vm.spec.groups.assign(65, "g"); }, "vm.spec.groups", "at most 64"},
      {"empty group",
       [](VmCreation& vm) {
         vm.spec.groups = {"a", ""};
       },
       "vm.spec.groups[1]", "1 to 63"},
      {"group with +", [](VmCreation& vm) { vm.spec.groups = {"a+b"}; }, "vm.spec.groups[0]", "a+b"},
      {"group not UTF-8", [](VmCreation& vm) { vm.spec.groups = {"\xff"}; }, "vm.spec.groups[0]", "UTF-8"},
      {"odd queue", [](VmCreation& vm) { vm.spec.queue_size = 1000; }, "vm.spec.queue_size", "power of two"},
      {"huge queue", [](VmCreation& vm) { vm.spec.queue_size = 65536; }, "vm.spec.queue_size", "32768"},
      {"queue of one", [](VmCreation& vm) { vm.spec.queue_size = 1; }, "vm.spec.queue_size", "power of two"},
      {"tiny buffer", [](VmCreation& vm) { vm.spec.tx_buffer_bytes = 1; }, "vm.spec.tx_buffer_bytes", "1024"},
      {"huge buffer", [](VmCreation& vm) { vm.spec.tx_buffer_bytes = 1u << 30; }, "vm.spec.tx_buffer_bytes",
       "67108864"},
      {"label key",
       [](VmCreation& vm) {
         vm.labels = {{"a b", "c"}};
       },
       "vm.labels", "a b"},
      {"label value",
       [](VmCreation& vm) {
         vm.labels = {{"a", "b c"}};
       },
       "vm.labels", "b c"},
      {"annotation not UTF-8",
       [](VmCreation& vm) {
         vm.annotations = {{"a", "\xff"}};
       },
       "vm.annotations", "UTF-8"},
      {"large annotations",
       [](VmCreation& vm) {
         vm.annotations = {{"a", std::string(16384, 'x')}};
       },
       "vm.annotations", "at most 16384"},
      {"request id", [](VmCreation& vm) { vm.request_id = "a b"; }, "request_id", "UUID"},
      {"long request id", [](VmCreation& vm) { vm.request_id = std::string(65, 'a'); }, "request_id", "64"},
  };
  for (const Case& test : cases) {
    VmCreation vm = Good();
    test.spoil(vm);
    const std::vector<FieldViolation> violations = CheckVm(vm);
    ASSERT_EQ(violations.size(), 1u) << test.what;
    EXPECT_EQ(violations[0].field, test.field) << test.what;
    EXPECT_THAT(violations[0].description, HasSubstr(test.says)) << test.what;
  }
}

TEST(CheckVmTest, NamesAllFieldsThatAreBad) {
  VmCreation vm = Good();
  vm.id = "";
  vm.spec.cid = CidRequest::Fixed(1);
  vm.spec.queue_size = 3;
  EXPECT_EQ(CheckVm(vm).size(), 3u);
}

TEST(CheckVmTest, TenThousandLabelsAreOneShortComplaint) {
  VmCreation vm = Good();
  for (int i = 0; i < 10'000; ++i) vm.labels[absl::StrCat("label", i)] = "x";
  const std::vector<FieldViolation> violations = CheckVm(vm);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "vm.labels");
  EXPECT_LT(violations[0].description.size(), 100u);
}

}  // namespace
}  // namespace kinsock
