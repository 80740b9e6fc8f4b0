src/decode/json_parser.o: src/decode/json_parser.cpp \
 src/decode/json_parser.h
src/decode/json_parser.h:
