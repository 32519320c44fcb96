#include "repository/pipeline/pack_check.h"

namespace aeterna::repository {
namespace {

Status check_frame(EntryReader& reader, const PackId& id, const std::string& bytes) {
    if (bytes.size() < kPackHeaderBytes + kPackFooterBytes) return make_error(ErrorCode::kCorrupt, "is cut short");
    AETERNA_TRY(check_header(bytes_of(bytes).first(kPackHeaderBytes), id));
    AETERNA_ASSIGN(const TablePlace place,
                   parse_footer(bytes_of(bytes).subspan(bytes.size() - kPackFooterBytes), bytes.size(), id));
    Compressor compressor;
    EntryCodec codec(compressor, pack_key(reader.repository().keys(), id));
    const auto table = open_table(place, bytes_of(bytes).subspan(place.offset, place.entry.sealed_bytes), codec);
    return table ? Status() : Status(table.error());
}

}  // namespace

PackFindings examine_pack(EntryReader& reader, const std::vector<Location>& rows, const std::string& bytes) {
    PackFindings findings;
    if (const Status frame = check_frame(reader, rows.front().pack, bytes); !frame) findings.frame = frame.error();
    std::string plain;
    for (const Location& row : rows) {
        const std::uint64_t end = std::uint64_t{row.offset} + row.entry.sealed_bytes;
        const Bytes sealed = end <= bytes.size() ? bytes_of(bytes).subspan(row.offset, row.entry.sealed_bytes) : Bytes();
        const bool is_good = reader.open(row, sealed, plain) &&
                             name_of(row.entry.type, bytes_of(plain), reader.repository().keys()) == row.entry.id;
        if (!is_good) findings.bad.push_back(row);
    }
    return findings;
}

}  // namespace aeterna::repository
