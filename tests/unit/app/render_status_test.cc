#include "app/cli/render_status.h"

#include <gtest/gtest.h>

#include "app/cli/frame.h"
#include "app/cli/styled_text.h"
#include "samples.h"

namespace aeterna::app {
namespace {

using samples::expect_golden;
using samples::joined;

std::string render(const StatusView& view, std::size_t width, std::size_t height = 0, bool color = false) {
    return joined(render_status(view, {width, height, color}));
}

TEST(RenderStatus, Golden) {
    expect_golden("status-healthy-80.txt", render(samples::healthy(), 80));
    expect_golden("status-healthy-80x24.txt", render(samples::healthy(), 80, 24));
    expect_golden("status-down-80.txt", render(samples::redis_master_down(), 80));
    expect_golden("status-down-80x24.txt", render(samples::redis_master_down(), 80, 24));
    expect_golden("status-down-wide.txt", render(samples::redis_master_down(), 160));
    expect_golden("status-down-color.txt", render(samples::redis_master_down(), 80, 0, true));
    expect_golden("status-maintenance-80.txt", render(samples::in_maintenance(), 80));
    expect_golden("status-isolated-80.txt", render(samples::isolated(), 80));
}

TEST(RenderStatus, NamesTheStoresThatAnAssistIsFor) {
    StatusView view = samples::healthy();
    EXPECT_EQ(render(view, 80).find("assist"), std::string::npos) << "off everywhere is not worth a word";
    view.status.assist = view.status.stores[0].assist = "act";
    EXPECT_NE(render(view, 80).find("healthy  assist act: postgres "), std::string::npos) << render(view, 80);
    view.status.stores[1].assist = "act";
    EXPECT_NE(render(view, 80).find("healthy  assist act  "), std::string::npos) << "qdrant has no primary";
}

TEST(RenderStatus, SaysWhatTheCaptureDoes) {
    StatusView view = samples::healthy();
    EXPECT_EQ(render(view, 160).find("capture"), std::string::npos) << "where none is wanted";
    view.status.stores[0].capture = "running";
    view.status.stores[0].rpo_now_seconds = 1.2;
    EXPECT_NE(render(view, 160).find("capture running, RPO now 1.2 s"), std::string::npos) << render(view, 160);
}

// Whatever the window: no line is wider, no frame is higher, and the worst news stays.
TEST(RenderStatus, FitsEveryWindow) {
    for (const StatusView& view : {samples::healthy(), samples::redis_master_down(), samples::in_maintenance(),
                                    samples::isolated()}) {
        for (std::size_t width = 1; width <= 120; width += 7) {
            for (std::size_t height = 1; height <= 50; ++height) {
                const auto lines = render_status(view, {width, height, false});
                EXPECT_LE(lines.size(), height);
                for (const std::string& line : lines) EXPECT_LE(columns_of(line), width);
                ASSERT_FALSE(lines.empty());
            }
        }
    }
    const std::string small = render(samples::redis_master_down(), 80, 10);
    EXPECT_NE(small.find("redis.master_down"), std::string::npos) << small;
    EXPECT_NE(small.find("redis     down"), std::string::npos) << small;
}

TEST(RenderStatus, SaysWhatIsHidden) {
    EXPECT_NE(render(samples::redis_master_down(), 80, 10).find("more lines: enlarge"), std::string::npos);
    EXPECT_EQ(render(samples::healthy(), 80, 24).find("more lines"), std::string::npos);
}

TEST(RenderStatus, ServerTextCannotSendControlCodes) {
    StatusView view = samples::healthy();
    view.status.stores[0].nodes[0].note = "evil\x1b[2Jtext\nand a line";
    const std::string text = render(view, 0);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_NE(text.find("evil?[2Jtext?and a line"), std::string::npos);
}

TEST(StyledText, CutsByCodePoints) {
    EXPECT_EQ(columns_of("Qdränt"), 6U);
    EXPECT_EQ(fit("Qdränt", 4), "Qdr~");
    EXPECT_EQ(fit("äöü", 3), "äöü");
    EXPECT_EQ(fit("äöü", 2), "ä~");
    EXPECT_EQ(fit("abc", 0), "");
    EXPECT_EQ(pad("ä", 3), "ä  ");
    EXPECT_EQ(pad_left("ä", 3), "  ä");
}

TEST(HumanNumbers, Bytes) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(1023), "1023 B");
    EXPECT_EQ(human_bytes(1024), "1.0 KiB");
    EXPECT_EQ(human_bytes(3'600'000), "3.4 MiB");
    EXPECT_EQ(human_bytes(1023 * 1024 + 1023), "1.0 MiB");
}

TEST(HumanNumbers, Objectives) {
    using namespace std::chrono_literals;
    EXPECT_EQ(human_objective(300s), "5 min");
    EXPECT_EQ(human_objective(90s), "90 s");
    EXPECT_EQ(human_objective(2h), "2 h");
    EXPECT_EQ(human_objective(5400s), "1 h 30 min");
    EXPECT_EQ(human_objective(500ms), "500 ms");
}

TEST(Frame, WritesOnlyWhatChanged) {
    EXPECT_EQ(frame_update({"a", "b"}, {"a", "b"}), "");
    EXPECT_EQ(frame_update({"a", "b"}, {"a", "c"}), "\x1b[2;1H\x1b[Kc");
    EXPECT_EQ(frame_update({"a", "b"}, {"a"}), "\x1b[2;1H\x1b[K");
    EXPECT_EQ(frame_update({"a"}, {"a", "b"}), "\x1b[2;1H\x1b[Kb");
    EXPECT_EQ(frame_full({"a"}), "\x1b[2J\x1b[1;1H\x1b[Ka");
}

}  // namespace
}  // namespace aeterna::app
