set(AETERNA_REPORT_DOCUMENT_SOURCES lessons.cc material.cc post_mortem.cc scorecard_text.cc)
