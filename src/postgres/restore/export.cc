#include "postgres/restore/export.h"

#include <fmt/format.h>

#include "base/paths.h"
#include "base/strings.h"
#include "postgres/capture/logical_backup.h"
#include "postgres/restore/load_plan.h"
#include "postgres/restore/plan.h"
#include "repository/pipeline/read_file.h"

namespace aeterna::postgres {
namespace {

constexpr std::size_t kExportBytes = 4 << 20;
constexpr int kExportMode = 0600;  // it holds everything that the database holds

// Beside its final name until it is whole; removed when it does not get there.
class ExportFile {
  public:
    ExportFile(env::FileSystem& files, std::string path) : files_(files), path_(std::move(path)), part_(path_ + ".aeterna") {}
    ~ExportFile() {
        if (file_) (void)files_.remove_file(part_);
    }
    ExportFile(const ExportFile&) = delete;
    ExportFile& operator=(const ExportFile&) = delete;

    Status begin() {
        (void)files_.remove_file(part_);  // left by one that was killed
        auto made = files_.create(part_, kExportMode);
        if (!made) return wrap_error(made.error(), fmt::format("'{}' cannot be written", path_));
        file_ = std::move(*made);
        return {};
    }
    Status append(repository::Bytes bytes) {
        AETERNA_TRY(file_->write_at(size_, bytes));
        file_->start_writeback(size_, bytes.size());
        size_ += bytes.size();
        return {};
    }
    Status finish(bool replaces) {
        AETERNA_TRY(file_->sync_data());
        AETERNA_TRY(replaces ? files_.rename_over(part_, path_) : files_.rename_new(part_, path_));
        file_.reset();
        return files_.sync_directory(parent_of(path_));
    }
    [[nodiscard]] std::uint64_t bytes() const { return size_; }

  private:
    env::FileSystem& files_;
    const std::string path_, part_;
    std::unique_ptr<env::OpenFile> file_;
    std::uint64_t size_ = 0;
};

class PostgresExporter final : public engine::Exporter {
  public:
    explicit PostgresExporter(env::FileSystem& files) : files_(files) {}

    Result<engine::ExportResult> run(repository::Repository& repository, const engine::ExportOrder& order,
                                     const env::Context& context) override {
        AETERNA_ASSIGN(const auto backups, repository.catalog().all(context));
        engine::ExportResult result;
        AETERNA_ASSIGN(result.backup, choose_backup(backups, order.backup, order.series, kLogicalKind));
        AETERNA_ASSIGN(const LogicalDetails details, read_logical_details(result.backup.details));
        AETERNA_ASSIGN(const DumpedDatabase database,
                       choose_database(details.databases, read_load_wish(order.options).database, ""));
        result.what = fmt::format("the database '{}'", one_line(database.name));
        if (!order.replaces && files_.stat(order.output)) return is_there(order.output);
        AETERNA_ASSIGN(const auto stream,
                       repository::FileStream::open(repository, result.backup, database.file, context));
        ExportFile file(files_, order.output);
        AETERNA_TRY(file.begin());
        while (true) {
            AETERNA_ASSIGN(const repository::Bytes bytes, stream->next(kExportBytes));
            if (bytes.empty()) break;
            if (context.stop.stop_requested()) return make_error(ErrorCode::kCancelled, "stopped");
            AETERNA_TRY(file.append(bytes));
        }
        const Status done = file.finish(order.replaces);
        if (!done && done.error().code == ErrorCode::kAlreadyExists) return is_there(order.output);
        AETERNA_TRY(done);
        result.bytes = file.bytes();
        return result;
    }

  private:
    static Error is_there(const std::string& path) {
        return make_error(ErrorCode::kAlreadyExists, fmt::format("'{}' is there already", path),
                          "Name another file, or add --replace.");
    }
    env::FileSystem& files_;
};

}  // namespace

std::unique_ptr<engine::Exporter> make_exporter(env::FileSystem& files) {
    return std::make_unique<PostgresExporter>(files);
}

std::vector<engine::CommandOption> export_options() {
    return {{"database", "NAME", "Of a logical backup: this one; else the only one", {}}};
}

}  // namespace aeterna::postgres
